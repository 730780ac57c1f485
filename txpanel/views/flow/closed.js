// Parts that are not opened: hatched boxes over all lanes, their input before them, their output behind them. What happens in between is not known, so
// nothing of it is drawn.
import {hatch} from "./hatch.js"
import {chosen} from "./lanes.js"
import {laneY} from "./layout.js"
import {passed} from "./motion.js"
import {barAt, drawStrip, stripWidth} from "./strips.js"

// The closed parts of the block on screen: which they are, between which columns, their input and output, and the colour of their output.
export function closedParts({block, L}) {
  const {shut1, shut2, min, lin, aout, mout, plus1, plus2} = L.at
  const {whole, mixer, mlp} = block.anatomy
  const list = []
  if (whole) list.push({part: "block", box: shut1, before: min, behind: aout, plus: plus1, colour: "lane", kind: "signed"})
  if (mixer === "opaque") list.push({part: "mixer", box: shut1, before: min, behind: aout, plus: plus1, colour: "value", kind: "value"})
  if (mlp === "opaque") list.push({part: "mlp", box: shut2, before: lin, behind: mout, plus: plus2, colour: "mlp", kind: "mlp"})
  return list.map((each) => ({...each, ...block.closed[each.part]}))
}

// Where a box stands: over all lanes, with room for its name above the first one.
export const boxOf = (app, c) => ({x: c.x, y: app.L.top + 22, w: c.w, h: app.L.bottom - app.L.top + app.L.gap / 2})

// A closed part at its place: a hatched box, outlined while the pointer is on it.
export function paintBox(app, part, b) {
  const {ctx, theme} = app
  ctx.beginPath()
  ctx.roundRect(b.x, b.y, b.w, b.h, 10)
  ctx.fillStyle = theme.blend("surface", "closed", 0.06)
  ctx.fill()
  hatch(app, b.x, b.y, b.w, b.h)
  const on = app.hover?.part === "closed" && app.hover.which === part
  ctx.beginPath()
  ctx.roundRect(b.x, b.y, b.w, b.h, 10)
  ctx.strokeStyle = on ? theme.of("focus") : theme.of("closed", 0.9)
  ctx.lineWidth = on ? 2 : 1.2
  ctx.stroke()
}

// Under the lanes: the residual stream goes on past a mixer or an MLP, which only adds to it.
export function paintClosed(app) {
  for (const {part, box} of closedParts(app)) if (part !== "block") paintBox(app, part, boxOf(app, box))
}

function arrow(app, x, y, colour) {
  const {ctx, theme} = app
  ctx.fillStyle = theme.of(colour)
  ctx.beginPath()
  ctx.moveTo(x, y)
  ctx.lineTo(x - 7, y - 4)
  ctx.lineTo(x - 7, y + 4)
  ctx.fill()
}

// Over the lanes: inputs and outputs; and the box of a block that is run as a whole, which the lanes enter.
export function paintClosedStrips(app) {
  const {ctx, L, theme, block, was} = app
  const thick = L.strip * 0.75
  for (const each of closedParts(app)) {
    if (each.part === "block") paintBox(app, each.part, boxOf(app, each.box))
    for (let i = 0; i < L.n; i++) {
      const y = laneY(L, i)
      const on = i === chosen(app)
      const read = block[each.reads]
      const w = stripWidth(app, read, each.before.w)
      drawStrip(
        app,
        read,
        was.block?.[each.reads],
        "signed",
        i,
        each.before.x,
        y - thick / 2,
        w,
        thick,
        passed(app, i, each.before.x, each.before.r),
      )
      if (passed(app, i, each.before.r, each.box.x) >= 1) arrow(app, each.box.x + 1, y, on ? "focus" : "lane")
      const wrote = block[each.writes]
      const wide = stripWidth(app, wrote, each.behind.w)
      const end = each.plus.m - 6
      const part = passed(app, i, each.box.r, end)
      if (!part) continue
      ctx.strokeStyle = theme.of(each.colour, 0.7)
      ctx.lineWidth = on ? 3 : 2
      ctx.beginPath()
      ctx.moveTo(each.box.r, y)
      ctx.lineTo(each.box.r + (end - each.box.r) * part, y)
      ctx.stroke()
      const done = passed(app, i, each.behind.x, each.behind.r)
      drawStrip(app, wrote, was.block?.[each.writes], each.kind, i, each.behind.x, y - thick / 2, wide, thick, done)
    }
  }
}

// The part of a closed step under a point of a lane: its box, or a strip before or behind it.
export function closedAt(app, lane, x) {
  const {block} = app
  for (const each of closedParts(app)) {
    if (x >= each.box.x && x <= each.box.r) return {part: "closed", which: each.part, lane}
    for (const [column, name] of [
      [each.before, each.reads],
      [each.behind, each.writes],
    ]) {
      const w = stripWidth(app, block[name], column.w)
      if (x >= column.x - 1 && x <= column.x + w + 1)
        return {part: "strip", strip: block[name], lane, bar: barAt(block[name], lane, x, column.x, w)}
    }
  }
  return null
}
