// The pattern of the head on screen, on the lanes: which cells the mask leaves, each cell's weight and colour, the words over them.
import {easeOut, lerp, narrow, weight} from "./core.js"
import {chosen} from "./lanes.js"
import {colX, earlierX, firstX, laneY} from "./layout.js"
import {cellIn} from "./motion.js"
import {freshWidths, widthOf} from "./text_width.js"

// Whether tokens attend to later ones too, as in BERT.
export const bothSides = (app) => app.block?.anatomy.causal === false

// The lanes of the first and last key that a query can attend to, and of the first and last query that can attend to a key.
export function firstKey(app, i) {
  const {head, L} = app
  let j = 0
  while (j < i && Number.isNaN(head.pattern[i * L.n + j])) j += 1
  return j
}
export function lastQuery(app, j) {
  const {head, L} = app
  let i = L.n - 1
  while (i > j && Number.isNaN(head.pattern[i * L.n + j])) i -= 1
  return i
}

export function lastKey(app, i) {
  const {head, L} = app
  if (!bothSides(app)) return i
  let j = L.n - 1
  while (j > i && Number.isNaN(head.pattern[i * L.n + j])) j -= 1
  return j
}
export function firstQuery(app, j) {
  const {head, L} = app
  if (!bothSides(app)) return j
  let i = 0
  while (i < j && Number.isNaN(head.pattern[i * L.n + j])) i += 1
  return i
}

// Whether tokens outside the window have columns: those before it and, where tokens attend to later ones too, those after it.
export const outside = (app) => app.L.windowed && (app.tokens.start > 0 || bothSides(app))

// The weight of a cell; NaN where the mask forbids it: a sliding window leaves out early keys.
export function patternAt(app, i, j) {
  const {head, was, L, motion} = app
  const now = head.pattern[i * L.n + j]
  const old = was.head
  if (motion.mix >= 1 || !old?.pattern || old === head) return now
  const n0 = old.pattern.shape[0]
  const before = i < n0 && j < n0 ? old.pattern[i * n0 + j] : NaN
  return Number.isNaN(before) ? now : lerp(before, now, motion.mix)
}

const SIZES = [11, 10, 9.5]
const fontOf = (size) => `600 ${size}px`

// The largest size at which a text fits; undefined if none does.
const sizeFor = (app, text, across, along) =>
  SIZES.find((size) => size <= along + 1 && widthOf(app, text, fontOf(size)) <= across - (size > 9.5 ? 1.5 : 0.5))

const USUAL = ".00" // has the width of most weights
const NAME = Math.PI / 3 // angle of a key's name under its column

// A weight in a cell of w x h, as large as fits. If it does not fit, it is turned in the chosen row and left out elsewhere. Tests read `app.written`.
function number(app, x, y, p, w, h, always) {
  if (!always && !sizeFor(app, USUAL, w, h)) return // otherwise only a short weight such as 0 would be written, among cells without numbers
  const {ctx, theme} = app
  const texts = [weight(p), narrow(p)]
  let text = texts.find((each) => sizeFor(app, each, w, h))
  const upright = text !== undefined
  if (!upright && always) text = texts.find((each) => sizeFor(app, each, h, w))
  if (text === undefined) return
  ctx.textAlign = "center"
  ctx.textBaseline = "middle"
  ctx.fillStyle = theme.weightInk(p)
  ctx.font = `${fontOf(upright ? sizeFor(app, text, w, h) : sizeFor(app, text, h, w))} ${app.font}`
  app.written?.push([x, y, text])
  if (upright) {
    ctx.fillText(text, x, y + 0.5)
    return
  }
  ctx.save()
  ctx.translate(x, y)
  ctx.rotate(-Math.PI / 2)
  ctx.fillText(text, 0, 0.5)
  ctx.restore()
}

function cell(app, x, y, p, grow, marked) {
  const {ctx, L, theme} = app
  if (Number.isNaN(p)) return // masked: empty
  ctx.fillStyle = theme.weightColour(p)
  if (L.circles) {
    ctx.beginPath()
    ctx.arc(x, y, Math.max(0, L.radius * easeOut(grow)), 0, 7)
    ctx.fill()
    ctx.strokeStyle = marked ? theme.of("focus") : theme.of("surface")
    ctx.lineWidth = marked ? 1.8 : 2
    ctx.stroke()
    if (grow >= 1) number(app, x, y, p, L.radius * 2, L.radius * 2, marked)
    return
  }
  const w = Math.max(1.5, L.pitch - (L.pitch > 18 ? 1.5 : L.pitch > 7 ? 1 : 0.5))
  const h = Math.max(2, Math.min(L.gap - 2, L.pitch * 1.9))
  ctx.globalAlpha = grow
  ctx.beginPath()
  ctx.roundRect(x - w / 2, y - h / 2, w, h, Math.min(3, w / 4))
  ctx.fill()
  ctx.globalAlpha = 1
  if (grow >= 1) number(app, x, y, p, w, h, marked)
}

function outline(app, x, y, colour) {
  const {ctx, L, theme} = app
  ctx.strokeStyle = theme.of(colour)
  ctx.lineWidth = 2.2
  ctx.beginPath()
  const w = L.circles ? L.radius * 2 + 4 : L.pitch + 2
  const h = L.circles ? w : Math.min(L.gap - 1, L.pitch * 1.9 + 3)
  ctx.roundRect(x - w / 2, y - h / 2, w, h, L.circles ? w / 2 : 4)
  ctx.stroke()
}

// Where cells are close, a row has a background, so that the lane and the query's line do not show between its cells; the chosen row is framed.
function rowGround(app, i, on) {
  const {ctx, L, theme} = app
  const h = Math.max(2, Math.min(L.gap - 2, L.pitch * 1.9)) + 2
  const {first, earlier} = app.head
  const before = outside(app)
  const to = colX(L, lastKey(app, i))
  const from = before && !Number.isNaN(first[i]) ? firstX(L) : before && !Number.isNaN(earlier[i]) ? earlierX(L) : colX(L, firstKey(app, i))
  const x = from - L.pitch / 2 - 1
  const grow = cellIn(app, i, i, L.n)
  if (grow <= 0) return
  ctx.beginPath()
  ctx.roundRect(x, laneY(L, i) - h / 2, to + L.pitch / 2 + 1 - x, h, 4)
  ctx.fillStyle = theme.blend("surface", "background", 0.45, grow)
  ctx.fill()
  if (!on) return
  ctx.strokeStyle = theme.of("focus", grow)
  ctx.lineWidth = 2
  ctx.stroke()
}

export function paintCells(app) {
  const {L, head, tokens} = app
  const q = chosen(app)
  app.written = []
  freshWidths()
  for (let i = 0; i < L.n; i++) {
    const y = laneY(L, i)
    if (!L.circles) rowGround(app, i, i === q)
    if (outside(app)) {
      cell(app, firstX(L), y, head.first[i], cellIn(app, i, 0, L.n), i === q)
      cell(app, earlierX(L), y, head.earlier[i], cellIn(app, i, 0, L.n), i === q)
    }
    for (let j = 0; j <= lastKey(app, i); j++) {
      const grow = cellIn(app, i, j, L.n)
      if (grow > 0) cell(app, colX(L, j), y, patternAt(app, i, j), grow, i === q)
    }
  }
  const key = app.sel.key - tokens.start
  if (q >= 0 && q < L.n && key >= firstKey(app, q) && key <= lastKey(app, q) && !app.motion.moving)
    outline(app, colX(L, key), laneY(L, q), "focus")
  if (app.hover?.part === "cell" && app.hover.key >= 0) outline(app, colX(L, app.hover.key), laneY(L, app.hover.query), "focus-ink")
}

// Words over a line or a frame, with a halo in the colour of the background.
function haloed(app, text, x, y) {
  const {ctx, theme} = app
  ctx.lineWidth = 4
  ctx.lineJoin = "round"
  ctx.strokeStyle = theme.of("surface")
  ctx.strokeText(text, x, y)
  ctx.fillText(text, x, y)
}

// Each key's token: above its diagonal cell, or where cells are close, under its column; and what rows and columns are.
export function paintAttentionWords(app) {
  if (!app.head.pattern) return
  const {ctx, L, theme} = app
  const t = app.T
  ctx.textBaseline = "alphabetic"
  ctx.textAlign = "center"
  ctx.font = `500 ${10 * app.k}px ${app.font}`
  ctx.fillStyle = theme.of("key-ink")
  const before = outside(app)
  const q = chosen(app)
  if (L.circles) {
    for (let j = 0; j < L.n; j++) {
      const half = Math.max(10, Math.min(29, L.pitch * 0.8))
      // under a causal mask the cells to the right are empty: a long name may extend over them
      const end = bothSides(app) ? colX(L, j) + half : L.at.mat.r - (j ? 6 : 100 * app.k)
      const text = app.short(j, Math.max(2 * half, end - colX(L, j) + half))
      const long = ctx.measureText(text).width > 2 * half
      ctx.textAlign = long ? "left" : "center"
      ctx.globalAlpha = cellIn(app, j, j, L.n)
      ctx.fillText(text, colX(L, j) - (long ? half : 0), laneY(L, j) - L.radius - 7)
    }
    ctx.globalAlpha = 1
  } else {
    for (let j = 0; j < L.n; j++) under(app, app.short(j, 44), colX(L, j), j, cellIn(app, j, j, L.n))
    if (before) {
      if (app.tokens.start > 0) under(app, t.first_token, firstX(L), -1, 1)
      under(app, bothSides(app) ? t.elsewhere_short : t.earlier_short, earlierX(L), -1, 1)
    }
  }
  // the names of the axes, in the corner that a causal mask leaves empty
  ctx.font = `500 ${10 * app.k}px ${app.font}`
  ctx.textAlign = "right"
  ctx.textBaseline = "alphabetic"
  const [x, y] = [L.at.mat.r - 10, L.top + 38]
  ctx.fillStyle = theme.of("query-ink")
  if (!bothSides(app)) {
    haloed(app, t.who_looks, x, y)
    ctx.fillStyle = theme.of("key-ink")
    haloed(app, t.at_whom, x, y + 13 * app.k)
  }
  ctx.font = `650 ${10 * app.k}px ${app.font}`
  const left = colX(L, 0)
  if (!L.circles) return
  ctx.textAlign = "right"
  const edge = L.radius + 6
  if (q >= 0 && q < L.n && left - edge - 28 > L.at.qkv.r + 8) {
    ctx.fillStyle = theme.of("query-ink", cellIn(app, q, 0, L.n))
    haloed(app, t.query, left - edge + 2, laneY(L, q) - Math.max(10, L.radius * 0.8))
  }
  ctx.fillStyle = theme.of("key-ink")
  haloed(app, t.key, left - edge + 2, laneY(L, 0) - L.radius - 7)
}

// A column's name under the last row, turned so that each has room; that of the chosen key is bold.
function under(app, text, x, j, shown) {
  const {ctx, L, theme} = app
  const q = chosen(app)
  const near =
    app.hover?.part === "cell" ? app.hover.key === j : j >= 0 && j === app.sel.key - app.tokens.start && (bothSides(app) || q >= j)
  ctx.save()
  ctx.globalAlpha = shown
  ctx.translate(x + 3, laneY(L, L.n - 1) + Math.min(L.gap / 2, L.pitch) + 5)
  ctx.rotate(L.pitch >= 13 ? -NAME : -Math.PI / 2)
  ctx.textAlign = "right"
  ctx.textBaseline = "middle"
  ctx.font = `${near ? 700 : 500} ${10 * app.k}px ${app.font}`
  ctx.fillStyle = theme.of(near ? "focus-ink" : "key-ink")
  haloed(app, text, 0, 0)
  ctx.restore()
}
