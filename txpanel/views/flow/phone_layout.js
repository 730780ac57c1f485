// Narrow pages: the next tokens first, so that they and the tokens fit into one screen; then the same lanes, turned to run downwards, for the chosen
// token and those it attends to most. Where each part stands, and what is at a point.
import {clamp} from "./core.js"
import {mlpRows} from "./mlp.js"
import {bothSides} from "./pattern.js"
import {barAt, stripWidth} from "./strips.js"

const ROW = 24 // pixels of a row in the list of next tokens
const LIST = 42 // and where the list begins
export const LEFT = 28 // room left of the lanes for the letters q, k, v

// The lanes shown: the chosen token and the most attended ones of the head on screen, in the order of the text.
function phoneLanes(app, room) {
  const {head, tokens} = app
  const n = tokens.ids.length
  const q = clamp(app.sel.query - tokens.start, 0, n - 1)
  if (!head.pattern) return Array.from({length: q + 1}, (_, j) => j).slice(-room) // those just before it, where no attention is opened
  const others = Array.from({length: bothSides(app) ? n : q + 1}, (_, j) => j)
    .filter((j) => j !== q && !Number.isNaN(head.pattern[q * n + j]))
    .sort((a, b) => head.pattern[q * n + b] - head.pattern[q * n + a])
    .slice(0, room - 1)
  return [...others, q].sort((a, b) => a - b)
}

export function phone(app) {
  const {W, block} = app
  const lanes = phoneLanes(app, W < 560 ? 5 : 6)
  const each = (W - LEFT - 10) / lanes.length
  const q = clamp(app.sel.query - app.tokens.start, 0, app.tokens.ids.length - 1)
  const rows = mlpRows(block).length || 2
  const {mixer, mlp, whole} = block.anatomy
  const windowed = app.tokens.total > app.tokens.ids.length
  const lanesY = LIST + 14 * ROW + 22 + (app.handlesH || 0)
  const top = lanesY + (windowed ? 40 : 0) // room for the slider that moves the window
  const y = {names: 24, embed: 84, frame: 136, attention: 158, norm: 198, qkv: 220, cells: 326, z: 398, plus1: 436}
  for (const part of Object.keys(y)) y[part] += top
  y.embedding = lanesY
  if (mixer !== "open") {
    // attention's place is taken by the box of a closed part, or by nothing
    y.read = whole ? y.norm : y.qkv
    y.box = y.read + 22
    y.write = y.box + 104
    y.plus1 = mixer || whole ? y.write + 48 : y.attention - 24
  }
  y.mlpHead = y.plus1 + 24
  y.norm2 = y.mlpHead + 36
  y.mlp = y.norm2 + 20
  y.box2 = y.mlp + 22
  y.write2 = y.box2 + 74
  y.plus2 = mlp === "opaque" ? y.write2 + 44 : mlp ? y.mlp + rows * 13 + 46 : y.plus1
  y.thumbs = y.plus2 + 52
  const heads = block.anatomy.n_heads
  const groups = block.anatomy.n_kv_heads > 1 && block.anatomy.n_kv_heads < heads ? block.anatomy.n_kv_heads : 1
  const room = W - 42 - 8 * Math.min(groups - 1, 4)
  const lines = Math.ceil(heads / Math.floor(room / 35))
  const perRow = Math.max(1, Math.ceil(heads / Math.max(1, lines))) // lines of about one length
  const thumb = Math.min(40, room / perRow - 6)
  y.frameEnd = heads ? y.thumbs + lines * (thumb + 20) + 44 : y.thumbs + 118
  y.blocks = y.frameEnd + 52
  y.end = y.blocks + 158 // the last norm
  const list = Math.min(W - 12, 640)
  const at = {blocks: {x: 10, w: W - 20, r: W - 10, m: W / 2}, next: {x: 8, w: list - 8, r: list}}
  return {
    phone: true,
    cellPlace: (i, j) =>
      i === q && lanes.includes(j) ? {x: LEFT + (lanes.indexOf(j) + 0.5) * each - 17, y: y.cells - 17, w: 34, h: 34, round: true} : null,
    W,
    H: y.end + 16,
    lanes,
    each,
    y,
    at,
    thumb,
    perRow,
    headsY: y.thumbs,
    box: {x: 20 - 22, r: W - 10},
    n: app.tokens.ids.length,
    rowH: ROW,
    listY: LIST,
    dense: false,
    strip: 14,
    gap: 60,
    tall: 1,
    top: y.frame,
    bottom: 0,
    windowed,
  }
}

export const laneX = (L, s) => LEFT + (s + 0.5) * L.each
export const stripBox = (app, strip, s) => {
  const w = stripWidth(app, strip, app.L.each - 12)
  return {x: laneX(app.L, s) - w / 2, w}
}

// Closed parts: where their boxes stand, and what they read above and write below them.
export function phoneClosed({L, block}) {
  const {whole, mixer, mlp} = block.anatomy
  const list = []
  const first = {place: {x: 10, y: L.y.box, w: L.W - 20, h: 90}, before: L.y.read, behind: L.y.write}
  if (whole) list.push({...first, part: "block", kind: "signed"})
  else if (mixer === "opaque") list.push({...first, part: "mixer", kind: "value"})
  if (mlp === "opaque")
    list.push({place: {x: 10, y: L.y.box2, w: L.W - 20, h: 62}, before: L.y.mlp, behind: L.y.write2, part: "mlp", kind: "mlp"})
  return list.map((each) => ({...each, ...block.closed[each.part]}))
}

// Strips that all lanes have: top, height, strip.
function stripRows({L, tokens, head, block}) {
  const rows = [[L.y.embed - 9, 18, tokens.embed]]
  if (tokens.pos_embed) rows.push([L.y.embed + 13, 10, tokens.pos_embed])
  if (head.pattern) for (const [r, letter] of ["q", "k", "v"].entries()) rows.push([L.y.qkv + r * 22, 15, head[letter]])
  for (const each of phoneClosed({L, block})) rows.push([each.before, 12, block[each.reads]], [each.behind, 12, block[each.writes]])
  if (block.anatomy.mlp !== "open") return rows
  mlpRows(block).forEach((name, r) => rows.push([L.y.mlp + r * 13, 10, block[name]]))
  rows.push([L.y.mlp + (mlpRows(block).length || 2) * 13 + 6, 10, block.mlp_out])
  return rows
}

// The same with the place of each lane's strip, null for lanes that are not shown.
export function phoneStrips(app) {
  const {L} = app
  const list = stripRows(app).map(([y, h, strip]) => [
    strip,
    (i) => {
      const s = L.lanes.indexOf(i)
      return s < 0 ? null : {...stripBox(app, strip, s), y, h}
    },
  ])
  const q = clamp(app.sel.query - app.tokens.start, 0, L.n - 1)
  if (app.head.z) list.push([app.head.z, (i) => (i === q ? {...stripBox(app, app.head.z, L.lanes.indexOf(q)), y: L.y.z - 6, h: 12} : null)])
  return list
}

export function phoneAt(app, x, y) {
  const {L, tokens} = app
  const b = app.hit.blocks
  if (b && y >= b.y0 && y <= b.y1 && x >= b.x && x <= b.x + b.w)
    return {part: "block", layer: clamp(Math.floor(((x - b.x) / b.w) * app.layers), 0, app.layers - 1), up: y < b.mid}
  const s = clamp(Math.floor((x - LEFT) / L.each), 0, L.lanes.length - 1)
  const lane = L.lanes[s]
  const q = clamp(app.sel.query - tokens.start, 0, L.n - 1)
  if (app.head.pattern && Math.abs(y - L.y.cells) < 18 && Math.abs(x - laneX(L, s)) < 22)
    return {part: "cell", lane: q, query: q, key: lane}
  for (const [top, h, strip] of stripRows(app)) {
    if (y < top || y > top + h) continue
    const box = stripBox(app, strip, s)
    return {part: "strip", strip, lane, bar: barAt(strip, lane, x, box.x, box.w)}
  }
  for (const {part, place} of phoneClosed(app)) if (y >= place.y && y <= place.y + place.h) return {part: "closed", which: part, lane}
  const {wrote} = app.block
  if (wrote.mixer && Math.abs(y - L.y.plus1) < 14) return {part: "plus1", lane}
  if (wrote.mlp && Math.abs(y - L.y.plus2) < 14) return {part: "plus2", lane}
  return null
}

// Headings stand above their parts; tokens above their lanes.
export function phoneOverlay(app, put) {
  const {L, tokens, dom} = app
  const heads = {embedding: L.y.embedding, attention: L.y.attention, mlp: L.y.mlpHead, blocks: L.y.blocks - 28, next: 0}
  for (const n of dom.heads.children) {
    const y = heads[n.dataset.part]
    put(n, 0, y, L.W)
  }
  put(dom.play, L.W - 14, L.top - 14)
  put(dom.grid, 0, 0, 0, 0) // at its place of a wide page it would make a narrow page scroll sideways
  put(dom.chart, 10, L.y.blocks, L.W - 20, 130)
  for (const n of dom.tokens.children) {
    const i = Number(n.dataset.token) - tokens.start
    const s = L.lanes.indexOf(i)
    n.hidden = s < 0
    if (s < 0) continue
    put(n, LEFT + s * L.each, L.y.names, L.each)
  }
}
