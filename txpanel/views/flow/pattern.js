// The pattern of the head on screen, on the lanes: which cells the mask leaves, each cell's weight and colour, the words over them.
import {easeOut, lerp, weight} from "./core.js"
import {chosen} from "./lanes.js"
import {colX, earlierX, firstX, laneY} from "./layout.js"
import {cellIn} from "./motion.js"

// Whom a query may look at, and who may look at a key: the first lane and the last one that the mask leaves.
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

// The weight of a cell; NaN where the mask forbids it: a sliding window leaves out early keys.
export function patternAt(app, i, j) {
  const {head, was, L, motion} = app
  const now = head.pattern[i * L.n + j]
  const old = was.head
  if (motion.mix >= 1 || !old || old === head) return now
  const n0 = old.pattern.shape[0]
  const before = i < n0 && j < n0 ? old.pattern[i * n0 + j] : NaN
  return Number.isNaN(before) ? now : lerp(before, now, motion.mix)
}

function cell(app, x, y, p, grow, marked) {
  const {ctx, L, theme} = app
  if (Number.isNaN(p)) return // masked: empty, as above the diagonal
  ctx.fillStyle = theme.weightColour(p)
  if (L.circles) {
    ctx.beginPath()
    ctx.arc(x, y, Math.max(0, L.radius * easeOut(grow)), 0, 7)
    ctx.fill()
    ctx.strokeStyle = marked ? theme.of("focus") : theme.of("surface")
    ctx.lineWidth = marked ? 1.8 : 2
    ctx.stroke()
    if (L.radius < 9.5 || grow < 1) return
    ctx.fillStyle = theme.weightInk(p)
    ctx.font = `600 ${L.radius >= 18 ? 12 : L.radius >= 12 ? 10 : 9.5}px ${app.font}`
    ctx.textAlign = "center"
    ctx.textBaseline = "middle"
    const text = weight(p)
    if (ctx.measureText(text).width < L.radius * 2 - 1) ctx.fillText(text, x, y + 0.5)
    return
  }
  const w = Math.max(1.5, L.pitch - (L.pitch > 7 ? 1.5 : 0.5))
  const h = Math.max(2, Math.min(L.gap - 2, L.pitch * 1.9))
  ctx.globalAlpha = grow
  ctx.beginPath()
  ctx.roundRect(x - w / 2, y - h / 2, w, h, Math.min(3, w / 4))
  ctx.fill()
  ctx.globalAlpha = 1
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

// Where cells are close, a row stands on its own ground, so that lane and query do not shimmer through; the chosen row is framed.
function rowGround(app, i, on) {
  const {ctx, L, theme} = app
  const h = Math.max(2, Math.min(L.gap - 2, L.pitch * 1.9)) + 2
  const {first, earlier} = app.head
  const before = L.windowed && app.tokens.start > 0
  const from = before && !Number.isNaN(first[i]) ? firstX(L) : before && !Number.isNaN(earlier[i]) ? earlierX(L) : colX(L, firstKey(app, i))
  const x = from - L.pitch / 2 - 1
  const grow = cellIn(app, i, i, L.n)
  if (grow <= 0) return
  ctx.beginPath()
  ctx.roundRect(x, laneY(L, i) - h / 2, colX(L, i) + L.pitch / 2 + 1 - x, h, 4)
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
  for (let i = 0; i < L.n; i++) {
    const y = laneY(L, i)
    if (!L.circles) rowGround(app, i, i === q)
    if (L.windowed && tokens.start > 0) {
      cell(app, firstX(L), y, head.first[i], cellIn(app, i, 0, L.n), i === q)
      cell(app, earlierX(L), y, head.earlier[i], cellIn(app, i, 0, L.n), i === q)
    }
    for (let j = 0; j <= i; j++) {
      const grow = cellIn(app, i, j, L.n)
      if (grow > 0) cell(app, colX(L, j), y, patternAt(app, i, j), grow, i === q)
    }
  }
  const key = app.sel.key - tokens.start
  if (q >= 0 && q < L.n && key >= firstKey(app, q) && key <= q && !app.motion.moving) outline(app, colX(L, key), laneY(L, q), "focus")
  if (app.hover?.part === "cell" && app.hover.key >= 0) outline(app, colX(L, app.hover.key), laneY(L, app.hover.query), "focus-ink")
}

// Words that stand on a line or a frame keep a little ground around them.
function haloed(app, text, x, y) {
  const {ctx, theme} = app
  ctx.lineWidth = 4
  ctx.lineJoin = "round"
  ctx.strokeStyle = theme.of("surface")
  ctx.strokeText(text, x, y)
  ctx.fillText(text, x, y)
}

// Names over the matrix: each key's token above its diagonal cell, and what rows and columns are.
export function paintAttentionWords(app) {
  const {ctx, L, theme} = app
  const t = app.T
  ctx.textBaseline = "alphabetic"
  ctx.textAlign = "center"
  ctx.font = `500 ${10 * app.k}px ${app.font}`
  ctx.fillStyle = theme.of("key-ink")
  if (L.circles) {
    for (let j = 0; j < L.n; j++) {
      const room = Math.max(20, Math.min(58, L.pitch * 1.6))
      ctx.globalAlpha = cellIn(app, j, j, L.n)
      ctx.fillText(app.short(j, room), colX(L, j), laneY(L, j) - L.radius - 7)
    }
    ctx.globalAlpha = 1
  } else if (app.hover?.part === "cell" && app.hover.key >= 0) {
    ctx.fillText(app.short(app.hover.key, 90), colX(L, app.hover.key), laneY(L, app.hover.key) - 12)
  }
  if (L.windowed && app.tokens.start > 0) {
    ctx.fillText(t.first_token, firstX(L), laneY(L, 0) - 14)
    ctx.fillText("Σ", earlierX(L), laneY(L, 0) - 14)
  }
  ctx.font = `650 ${10 * app.k}px ${app.font}`
  const edge = L.circles ? L.radius + 6 : L.pitch / 2 + 5
  const left = L.windowed && app.tokens.start > 0 ? firstX(L) : colX(L, 0)
  if (L.at.mat.x + 4 < left - edge - 16 || L.circles) {
    ctx.textAlign = "right"
    ctx.fillStyle = theme.of("key-ink")
    const q = chosen(app)
    if (L.circles && q >= 0 && q < L.n && left - edge - 28 > L.at.qkv.r + 8) {
      ctx.fillStyle = theme.of("query-ink", cellIn(app, q, 0, L.n))
      haloed(app, t.query, left - edge + 2, laneY(L, q) - Math.max(10, L.radius * 0.8))
      ctx.fillStyle = theme.of("key-ink")
    }
    if (!L.windowed) haloed(app, t.key, left - edge + 2, laneY(L, 0) - (L.circles ? L.radius + 7 : 9))
  }
}
