// Brings parts of the page into sight, in whatever scrolls it.

import {endsAtPress, scroller} from "../../toolkit/scroller.js"
import {reducedMotion} from "../../toolkit/theme.js"
import {above} from "../connection/state.js"

const how = () => (reducedMotion() ? "auto" : "smooth")

export const toTop = (el) => {
  scroller(el).scrollTo({top: 0, behavior: how()})
  endsAtPress(el)
}

/** boxes: in pixels of the window. low: how much of the screen is covered at its lower edge. */
export function intoSight(el, boxes, low = 0) {
  if (!boxes.length) return
  const top = Math.max(8, above.bottom?.() ?? 0) + 12
  const bottom = innerHeight - low - 12
  const [from, to] = [Math.min(...boxes.map((box) => box.top)), Math.max(...boxes.map((box) => box.bottom))]
  if (from >= top - 4 && to <= bottom + 4) return
  const by = to - from > bottom - top ? from - top : from < top ? from - top : to - bottom
  scroller(el).scrollBy({top: by, behavior: how()})
  endsAtPress(el)
}
