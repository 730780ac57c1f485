// "Start here" may be pressed during the first picture, when the box of lessons is not there yet: the click is remembered until it is.
import {say} from "../../toolkit/page_events.js"
import {isSaved} from "../../toolkit/saved_page.js"

let asked = false
let boxes = 0

export const listening = (on) => {
  boxes += on ? 1 : -1
}

/** Begins the lessons. `isFirst`: their box may still come. Where there will be none, as on a saved page, the flow's short guide opens instead. */
export function begin(el, isFirst) {
  if (say(el, "start")) return
  const coming = isFirst && !isSaved()
  if (!boxes && coming) asked = true
  if (!boxes && !coming) say(el, "guide")
}

export const askedToStart = () => asked

export const begun = () => {
  asked = false
}
