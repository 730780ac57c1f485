// What scrolls the page, and scrolling it smoothly.
import {reducedMotion} from "./theme.js"

/** The nearest element around one that can scroll, through shadow roots; else the document. */
export function scroller(el) {
  for (let at = el; at; at = at.assignedSlot ?? at.parentElement ?? at.getRootNode().host) {
    const style = getComputedStyle(at)
    if (at.scrollHeight > at.clientHeight + 4 && /auto|scroll/.test(style.overflowY) && at !== document.body) return at
  }
  return document.scrollingElement
}

const LONGEST = 2000 // milliseconds after which every smooth scroll has come to its end

/** Scrolls what is around an element by scroll(behavior): smoothly, or at once for people who want no motion. A smooth scroll ends where somebody presses
 *  a button: what moves away between press and release gets no click. */
export function scrollSmoothly(el, scroll) {
  scroll(reducedMotion() ? "auto" : "smooth")
  const box = scroller(el)
  const end = () => box.scrollTo({top: box.scrollTop, behavior: "instant"})
  addEventListener("pointerdown", end, {capture: true, once: true})
  setTimeout(() => removeEventListener("pointerdown", end, {capture: true}), LONGEST)
}
