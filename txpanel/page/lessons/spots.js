// The place where a box covers least of some others: pure functions of numbers.
import {overlap} from "../overlap.js"

const GAP = 14

/**
 * The best place for a box of a size in a room: it covers as little as possible of the boxes, is near them, and stays where it was if that is as good.
 * @returns {{x: number, y: number}}
 */
export function bestSpot({w, h}, room, boxes, was) {
  const clampX = (x) => Math.min(Math.max(x, room.left), Math.max(room.left, room.right - w))
  const clampY = (y) => Math.min(Math.max(y, room.top), Math.max(room.top, room.bottom - h))
  const spots = [
    [room.left, room.bottom - h],
    [room.right - w, room.bottom - h],
    [(room.left + room.right - w) / 2, room.bottom - h],
    [room.left, room.top],
    [room.right - w, room.top],
  ]
  for (const box of boxes) {
    const [mx, my] = [(box.left + box.right - w) / 2, (box.top + box.bottom - h) / 2]
    spots.push([box.right + GAP, my], [box.left - GAP - w, my], [mx, box.bottom + GAP], [mx, box.top - GAP - h])
  }
  const rated = spots.map(([px, py]) => {
    const [x, y] = [clampX(px), clampY(py)]
    const own = {left: x, top: y, right: x + w, bottom: y + h}
    const covered = boxes.reduce((sum, box) => sum + overlap(own, box), 0)
    const far = boxes.length
      ? Math.min(...boxes.map((box) => Math.hypot(x + w / 2 - (box.left + box.right) / 2, y + h / 2 - (box.top + box.bottom) / 2)))
      : y
    return {x, y, cost: covered * 10 + far}
  })
  const best = rated.reduce((a, b) => (b.cost < a.cost ? b : a))
  if (!was) return best
  const [x, y] = [clampX(was.x), clampY(was.y)]
  const own = {left: x, top: y, right: x + w, bottom: y + h}
  return boxes.some((box) => overlap(own, box) > 0) ? best : {x, y}
}

/** The outline of a box with round corners, as a path. */
export function hole({left, top, right, bottom}, air) {
  const [x, y, r, b, c] = [left - air, top - air, right + air, bottom + air, 10]
  return `M${x + c} ${y}H${r - c}Q${r} ${y} ${r} ${y + c}V${b - c}Q${r} ${b} ${r - c} ${b}H${x + c}Q${x} ${b} ${x} ${b - c}V${y + c}Q${x} ${y} ${x + c} ${y}Z`
}
