// What the open "why this number" card is about: its cell and the cells of its operands are marked where the flow draws them.
import {set} from "../../toolkit/patch.js"
import {qkvBox} from "./attention.js"
import {closedParts} from "./closed.js"
import {colX, laneY} from "./layout.js"
import {mlpBox, mlpRows} from "./mlp.js"
import {lastKey} from "./pattern.js"
import {phoneStrips} from "./phone_layout.js"
import {stripWidth} from "./strips.js"

// All strips on screen with the place of each lane's: [strip, (lane) => {x, y, w, h} or null].
function strips(app) {
  const {L, tokens, head, block} = app
  const {mixer, mlp} = block.anatomy
  if (L.phone) return phoneStrips(app)
  const a = L.at
  const thin = L.strip * 0.75
  const left = (strip, c) => [strip, (i) => ({x: c.x, y: laneY(L, i) - thin / 2, w: stripWidth(app, strip, c.w), h: thin})]
  const two = tokens.pos_embed
  const high = two ? Math.max(3, L.strip * 0.62) : L.strip
  const table = (strip, dy) => [
    strip,
    (i) => {
      const w = stripWidth(app, strip, a.embed.w)
      return {x: a.embed.r - w, y: laneY(L, i) + dy, w, h: high}
    },
  ]
  const inner = (letter, r) => [
    head[letter],
    (i) => {
      const b = qkvBox(app, i)
      return {...b.strips, y: b.row(r), h: Math.max(2, b.row(1) - b.row(0) - 3)}
    },
  ]
  const neurons = (name, r) => [
    block[name],
    (i) => {
      const b = mlpBox(app, i)
      return {...b.strips, y: b.row(r), h: Math.max(2, b.each - 2)}
    },
  ]
  const list = [
    table(tokens.embed, two ? -high - 1 : -high / 2),
    ...(mixer === "open" ? [inner("q", 0), inner("k", 1), inner("v", 2), left(head.z, a.z)] : []),
    ...(mlp === "open" ? [left(block.mlp_out, a.mout)] : []),
  ]
  if (two) list.push(table(two, 1))
  if (a.aout && block.attn_out) list.push(left(block.attn_out, a.aout))
  for (const each of closedParts(app)) list.push(left(block[each.reads], each.before), left(block[each.writes], each.behind))
  if (mlp === "open") mlpRows(block).forEach((name, r) => list.push(neurons(name, r)))
  return list
}

const same = (strip, {name, at}) => strip.name === name && Object.entries(strip.at).every(([axis, i]) => at[axis] === i)

function inStrip(app, cell, lane) {
  for (const [strip, place] of strips(app)) {
    if (!same(strip, cell) || !(strip.axis in cell.at)) continue
    const box = place(lane)
    if (!box) return null
    const bars = strip.value.shape[1]
    const each = box.w / bars
    const wide = Math.max(each, 3)
    const bar = Math.floor((cell.at[strip.axis] * bars) / strip.size)
    // the run that the entry lies in: bars hold runs of neighbours, and a run begins at floor(bar * size / bars)
    const b = Math.floor(((bar + 1) * strip.size) / bars) <= cell.at[strip.axis] ? bar + 1 : bar
    return {x: box.x + (b + 0.5) * each - wide / 2, y: box.y, w: wide, h: box.h}
  }
  return null
}

// Where a tensor of the residual stream stands on its lane: at the sign of a norm or an add, or on the line between them.
function onLane(app, part, lane) {
  const a = app.L.at
  const ring = (x, r = 9) => ({x: x - r, y: laneY(app.L, lane) - r, w: 2 * r, h: 2 * r, round: true})
  const stage = part.split(".")[0]
  if (stage === "ln1" && a.n1.w > 1) return ring(a.n1.m)
  if (stage === "ln2" && a.n2.w > 1) return ring(a.n2.m)
  if (part === "resid_pre") return ring(app.L.box.x, 5)
  if (part === app.block.wrote.mixer) return ring(a.plus1.m)
  if (part === "resid_mid") return ring((a.plus1.r + (a.n2.w > 1 ? a.n2.x : (a.lin ?? a.mlp).x)) / 2, 4)
  if (part === "mlp_out") return ring(a.plus2.m)
  if (part === "resid_post") return ring(app.L.box.r, 5)
  return null
}

function cellPlace(app, at) {
  const {L, tokens} = app
  if (!app.head.pattern) return null
  const [i, j] = [at.query - tokens.start, at.key - tokens.start]
  if (at.head !== app.head.head || i < 0 || i >= L.n || j < 0 || j > lastKey(app, i)) return null
  if (L.phone) return L.cellPlace(i, j)
  const [w, h] = L.circles ? [2 * L.radius, 2 * L.radius] : [L.pitch - 1, Math.min(L.gap - 2, L.pitch * 1.9)]
  return {x: colX(L, j) - w / 2, y: laneY(L, i) - h / 2, w, h, round: L.circles}
}

// The place of a cell of the trace in this picture; null where the picture does not show it (another block, another head, no lane).
function placeOf(app, cell) {
  const [, layer, part] = cell.name.match(/^blocks\.(\d+)\.(.+)$/) ?? []
  if (layer !== undefined && Number(layer) !== app.block.layer) return null
  if (part && "query" in cell.at && "key" in cell.at) return cellPlace(app, cell.at)
  const lane = (cell.at.token ?? -1) - app.tokens.start
  if (lane < 0 || lane >= app.L.n) return null
  return inStrip(app, cell, lane) ?? (part && !app.L.phone ? onLane(app, part, lane) : null)
}

function ring(app, box, width, grow) {
  const {ctx, theme} = app
  const shape = (by) => {
    ctx.beginPath()
    ctx.roundRect(box.x - by, box.y - by, box.w + 2 * by, box.h + 2 * by, box.round ? box.w / 2 + by : Math.min(2 + by, box.w / 2 + by))
  }
  shape(grow)
  ctx.strokeStyle = theme.of("surface")
  ctx.lineWidth = width + 3
  ctx.stroke()
  ctx.strokeStyle = theme.of("focus")
  ctx.lineWidth = width
  ctx.stroke()
}

// Rows of the list of next tokens are elements: those of the card get a class.
function lightRows(app) {
  const ids = new Set(app.lit.filter(({name}) => app.next?.tensors.includes(name)).map(({at}) => at.vocab))
  if (app.lit.some(({name}) => name === app.next?.left)) ids.add(-1) // all that are not listed
  for (const n of app.dom.next.children) n.classList.toggle("lit", ids.has(Number(app.next?.ids[n.dataset.row] ?? -1)))
}

export function paintLight(app) {
  const places = app.lit.map((cell) => placeOf(app, cell))
  places.forEach((box, i) => {
    if (box) ring(app, box, i ? 1.5 : 2.4, i ? 1.5 : 2.5)
  })
  const near = app.pointed && placeOf(app, app.pointed)
  if (near) ring(app, near, 3.2, 5)
  lightRows(app)
  set(app.root, "data-lit", places.filter(Boolean).length)
  set(app.root, "data-pointed", Boolean(near))
}
