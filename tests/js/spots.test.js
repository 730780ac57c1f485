// Where the box of a lesson stands: it covers what is lit only where it has to, stays on screen, and does not jump without need.
import assert from "node:assert/strict"
import test from "node:test"
import {bestSpot, hole} from "../../txpanel/page/lessons/spots.js"

const ROOM = {left: 16, top: 80, right: 1424, bottom: 884}
const SIZE = {w: 400, h: 300}
const covers = ({x, y}, box) => x < box.right && x + SIZE.w > box.left && y < box.bottom && y + SIZE.h > box.top
const inside = ({x, y}) => x >= ROOM.left && y >= ROOM.top && x + SIZE.w <= ROOM.right && y + SIZE.h <= ROOM.bottom

test("the box covers no highlighted part where there is room", () => {
  for (let left = 0; left < 1300; left += 65)
    for (let top = 60; top < 800; top += 50) {
      const lit = {left, top, right: left + 140, bottom: top + 90}
      const found = bestSpot(SIZE, ROOM, [lit], null)
      assert.ok(inside(found), JSON.stringify([lit, found]))
      assert.ok(!covers(found, lit), JSON.stringify([lit, found]))
    }
})

test("two parts far apart are both left free", () => {
  const lit = [
    {left: 20, top: 90, right: 900, bottom: 160},
    {left: 1150, top: 250, right: 1420, bottom: 700},
  ]
  const found = bestSpot(SIZE, ROOM, lit, null)
  for (const one of lit) assert.ok(!covers(found, one))
})

test("the box stays where it was while it covers nothing", () => {
  const was = {x: 300, y: 400}
  assert.deepEqual(bestSpot(SIZE, ROOM, [{left: 900, top: 100, right: 1000, bottom: 200}], was), was)
  const away = bestSpot(SIZE, ROOM, [{left: 350, top: 450, right: 500, bottom: 600}], was)
  assert.notDeepEqual({x: away.x, y: away.y}, was)
})

test("in a room that is too small the box is in its corner", () => {
  const {x, y} = bestSpot(SIZE, {left: 8, top: 8, right: 300, bottom: 200}, [], null)
  assert.deepEqual([x, y], [8, 8])
})

test("a hole is a closed outline around the box", () => {
  const path = hole({left: 10, top: 20, right: 110, bottom: 60}, 8)
  assert.match(path, /^M12 12H108Q118 12 118 22V58Q/)
  assert.ok(path.endsWith("Z"))
})
