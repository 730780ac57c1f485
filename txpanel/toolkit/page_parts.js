// The parts of the page that a lesson can highlight, by name. A component that draws one registers it; its boxes are in pixels of the window.
import {top} from "./page_events.js"

const offered = new Set()

/** Registers parts: each name with a function that returns elements or boxes {left, top, right, bottom}. Returns a function that removes them. */
export function offer(view, places) {
  const one = {view, places}
  offered.add(one)
  return () => offered.delete(one)
}

const boxed = (one) => (one.getBoundingClientRect ? one.getBoundingClientRect() : one)
const together = (view, other) => !view.parent || !other.parent || top(view) === top(other)

/** The box around each part of that name that is on the page, whether on screen or scrolled away; none where it is not there. */
export function places(view, name) {
  return [...offered]
    .filter((one) => name in one.places && together(one.view, view))
    .map((one) => [one.places[name]()].flat().filter(Boolean).map(boxed))
    .map((boxes) => boxes.filter((box) => box.right > box.left && box.bottom > box.top))
    .filter((boxes) => boxes.length)
    .map((boxes) => ({
      left: Math.min(...boxes.map((box) => box.left)),
      top: Math.min(...boxes.map((box) => box.top)),
      right: Math.max(...boxes.map((box) => box.right)),
      bottom: Math.max(...boxes.map((box) => box.bottom)),
    }))
}
