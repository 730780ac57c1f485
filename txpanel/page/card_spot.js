// Where on the screen the card floats while its place beside the view is out of sight: not over anything that has to stay readable.
import {overlap} from "./overlap.js"

const EDGE = 16 // to the edge of the screen
const LEAST = 260 // the least height of the card, whose content scrolls

/**
 * The best place for a card of `width` and at most `height`.
 * @param clicked box around what was clicked, or null. clear: boxes that are to stay readable. top: where the bar above ends. right: edge of the page.
 * @returns {x, y, h}
 */
export function spot({width, height, clicked, clear, top, right}) {
  const area = {top: top + 8, bottom: innerHeight - EDGE, left: EDGE + 8, right}
  const fits = (x) => Math.max(area.left, Math.min(x, area.right - width))
  const xs = [area.right - width, area.left, ...clear.flatMap((box) => [box.left - 12 - width, box.right + 12])]
  if (clicked) xs.push(clicked.left - 24 - width, clicked.right + 24)
  const floors = [area.bottom, ...clear.map((box) => box.top - 10).filter((y) => y > area.top + LEAST && y < area.bottom)]
  if (clicked) floors.push(clicked.top - 24)
  const ceilings = [area.top, ...clear.map((box) => box.bottom + 10)]
  if (clicked) ceilings.push(clicked.bottom + 24)
  let best = null
  const consider = (x, from, to, order) => {
    const h = Math.min(height, to - from)
    if (h < Math.min(LEAST, height)) return
    for (const y of [to - h, from]) {
      const left = fits(x)
      const own = {left, top: y, right: left + width, bottom: y + h}
      const cost =
        (clicked ? overlap(own, clicked) * 1000 : 0) +
        clear.reduce((sum, box) => sum + overlap(own, box), 0) * 20 +
        (height - h) * 12 +
        order +
        (to === area.bottom ? 0 : 40)
      if (!best || cost < best.cost) best = {x: left, y, h, cost}
    }
  }
  xs.forEach((x, order) => {
    for (const to of floors) for (const from of ceilings) if (to > from) consider(x, from, to, order * 10)
  })
  return best ?? {x: fits(xs[0]), y: area.top, h: area.bottom - area.top}
}
