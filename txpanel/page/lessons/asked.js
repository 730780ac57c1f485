// "Start here" may be pressed while the first picture stands and the box is not there yet: it is remembered until it is.
import {say} from "../../toolkit/said.js"
import {isSaved} from "../../toolkit/saved_page.js"

let asked = false
let boxes = 0

export const listening = (on) => {
  boxes += on ? 1 : -1
}

/** Begins the tour; `isFirst`: its box may still be on its way. Where there will be none, as on a saved page, the picture says what is on it. */
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
