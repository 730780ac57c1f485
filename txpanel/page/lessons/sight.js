// Brings parts of the page into sight, in whatever scrolls it.

import {scroller, scrollSmoothly} from "../../toolkit/scroller.js"
import {above} from "../connection/state.js"

export const toTop = (el) => {
  scrollSmoothly(el, (behavior) => scroller(el).scrollTo({top: 0, behavior}))
}

/** boxes: in pixels of the window. low: how much of the screen is covered at its lower edge. */
export function intoSight(el, boxes, low = 0) {
  if (!boxes.length) return
  const top = Math.max(8, above.bottom?.() ?? 0) + 12
  const bottom = innerHeight - low - 12
  const [from, to] = [Math.min(...boxes.map((box) => box.top)), Math.max(...boxes.map((box) => box.bottom))]
  if (from >= top - 4 && to <= bottom + 4) return
  const by = to - from > bottom - top ? from - top : from < top ? from - top : to - bottom
  scrollSmoothly(el, (behavior) => scroller(el).scrollBy({top: by, behavior}))
}
