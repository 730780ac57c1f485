// Attention on the lanes: q, k, v; a line from each key to its cell on the diagonal and down (and up, where tokens attend to later ones too); weighted
// values that add up to z; all heads through W_O.
import {clamp, lerp} from "./core.js"
import {chosen} from "./lanes.js"
import {colX, laneY} from "./layout.js"
import {attending, passed} from "./motion.js"
import {firstQuery, lastKey, lastQuery, paintCells, patternAt} from "./pattern.js"
import {drawStrip, stripWidth} from "./strips.js"

const LETTERS = [
  ["q", "query"],
  ["k", "key"],
  ["v", "value"],
]

// Where the three strips of lane i stand.
export function qkvBox(app, i) {
  const {L, head} = app
  const c = L.at.qkv
  const h = L.qkvH
  const letters = L.badges
  const edge = h >= 34 ? 4 : 1
  const line = (h - 2 * edge) / 3
  const x = c.x + (letters ? 21 : 3)
  const w = stripWidth(app, head.q, c.r - x - 5)
  return {
    x: c.x,
    y: laneY(L, i) - h / 2,
    w: x + w + 5 - c.x,
    h,
    letters,
    line,
    strips: {x, w},
    row: (r) => laneY(L, i) - h / 2 + edge + r * line,
  }
}

const BOXED = 9.5 // the least height of a letter's box; in a lower one the letter would be cut off, so it is drawn without a box

function badge(app, letter, meaning, x, y, w, h) {
  const {ctx, theme} = app
  const bare = h < BOXED
  ctx.fillStyle = theme.of(bare ? `${meaning}-ink` : meaning)
  if (!bare) {
    ctx.beginPath()
    ctx.roundRect(x, y, w, h, 3)
    ctx.fill()
    ctx.fillStyle = theme.dark ? theme.of("background") : "#fff"
  }
  ctx.font = `650 ${clamp(h, 9.5, 10)}px ${app.font}`
  ctx.textAlign = "center"
  ctx.textBaseline = "alphabetic"
  const {actualBoundingBoxAscent: up, actualBoundingBoxDescent: down} = ctx.measureText(letter) // centred by its own height: q reaches below the baseline, k far above it
  ctx.fillText(letter, x + w / 2, y + (h + up - down) / 2)
}

// Where lanes are too close for a letter beside each strip: all three once, above the first lane, in the order of the strips.
function paintLetters(app) {
  const {L} = app
  if (L.badges) return
  const y = laneY(L, 0) - L.qkvH / 2 - 17
  LETTERS.forEach(([letter, meaning], r) => badge(app, letter, meaning, L.at.qkv.x + 3 + r * 16, y, 13, 12))
}

function paintQKV(app, i) {
  const {ctx, L, theme, head, was} = app
  const part = passed(app, i, L.at.qkv.x, L.at.qkv.r)
  if (!part) return
  const b = qkvBox(app, i)
  const on = i === chosen(app)
  ctx.beginPath()
  ctx.roundRect(b.x, b.y, b.w, b.h, b.letters ? 7 : 3)
  ctx.fillStyle = theme.of("surface")
  ctx.fill()
  ctx.strokeStyle = on ? theme.of("focus-mid") : theme.of("border")
  ctx.lineWidth = on ? 1.6 : 1
  ctx.stroke()
  const roomy = b.line >= 11
  const h = roomy ? b.line - 4 : Math.max(2, b.line - (b.letters ? 2 : 1))
  LETTERS.forEach(([letter, meaning], r) => {
    const y = b.row(r)
    if (b.letters) badge(app, letter, meaning, b.x + 4, y, 13, b.line - (roomy ? 1.5 : 0.7))
    drawStrip(app, head[letter], was.head?.[letter], meaning, i, b.strips.x, y + (roomy ? 1 : 0.5), b.strips.w, h, part)
  })
}

function keyPath(app, j, progress) {
  const {ctx, L} = app
  const b = qkvBox(app, j)
  const y0 = b.row(1) + b.line / 2
  const y = laneY(L, j) + (L.dense ? 1.5 : Math.min(7, L.radius * 0.45))
  const x = colX(L, j)
  const last = laneY(L, lastQuery(app, j))
  const from = b.x + b.w
  const bend = Math.min(20, L.at.mat.x - from + 10)
  const run = clamp(progress * 2, 0, 1)
  ctx.beginPath()
  ctx.moveTo(from, y0)
  const stop = x - Math.min(9, L.pitch / 2)
  ctx.bezierCurveTo(from + bend * 0.6, y0, from + bend * 0.4, y, from + bend, y)
  ctx.lineTo(Math.max(from + bend, lerp(from + bend, stop, run)), y)
  if (run >= 1) {
    ctx.quadraticCurveTo(x, y, x, Math.min(last, y + 9))
    ctx.lineTo(x, lerp(y, last, clamp(progress * 2 - 1, 0, 1)))
    const top = firstQuery(app, j)
    if (top < j) {
      ctx.moveTo(x, y)
      ctx.lineTo(x, lerp(y, laneY(L, top), clamp(progress * 2 - 1, 0, 1)))
    }
  }
  ctx.stroke()
}

function queryPath(app, i, progress) {
  const {ctx, L} = app
  const b = qkvBox(app, i)
  const y0 = b.row(0) + b.line / 2
  const y = laneY(L, i) - (L.dense ? 1.5 : Math.min(6, L.radius * 0.4))
  const from = b.x + b.w
  const bend = Math.min(20, L.at.mat.x - from + 10)
  ctx.beginPath()
  ctx.moveTo(from, y0)
  ctx.bezierCurveTo(from + bend * 0.6, y0, from + bend * 0.4, y, from + bend, y)
  ctx.lineTo(lerp(from + bend, colX(L, lastKey(app, i)), progress), y)
  ctx.stroke()
}

function paintLines(app) {
  const {ctx, L, theme, motion} = app
  const q = chosen(app)
  const near = app.hover?.part === "cell" ? app.hover : null
  const many = L.n > 14
  for (let j = 0; j < L.n; j++) {
    const fresh = motion.run < 1 && j >= motion.from
    const at = clamp((attending(app) - 0.5 * (motion.from ? 0 : j / L.n)) / 0.5, 0, 1)
    const strong = near?.key === j || (!near && j === app.sel.key - app.tokens.start && !many)
    ctx.strokeStyle = theme.of("key", strong ? 0.95 : many ? 0.16 : 0.5)
    ctx.lineWidth = strong ? 2.4 : many ? 1 : 1.5
    if (!fresh || at > 0) keyPath(app, j, fresh ? at : 1)
  }
  for (let i = 0; i < L.n; i++) {
    const fresh = motion.run < 1 && i >= motion.from
    const strong = near ? near.query === i : i === q
    ctx.strokeStyle = theme.of("query", strong ? 0.95 : many ? 0.16 : 0.5)
    ctx.lineWidth = strong ? 2.4 : many ? 1 : 1.5
    if (!fresh || attending(app) > 0) queryPath(app, i, fresh ? clamp(attending(app) * 1.6, 0, 1) : 1)
  }
}

// The lane's row of the pattern as stacked bars, as high as their weights; each flows into z.
function paintShares(app, i) {
  const {ctx, L, theme, head, was} = app
  const c = L.at.share
  const z = L.at.z
  const part = passed(app, i, c.x, z.x)
  if (!part) return
  const y = laneY(L, i)
  const h = Math.min(L.gap - (L.dense ? 3 : 14), 44 * L.tall)
  const zh = L.strip * 0.75
  const rest = L.windowed ? [head.first[i], head.earlier[i]] : []
  let at = 0
  const q = chosen(app)
  const pieces = [...rest, ...Array.from({length: lastKey(app, i) + 1}, (_, j) => patternAt(app, i, j))]
  pieces.forEach((weight, k) => {
    const p = weight || 0 // NaN where the mask forbids it
    const s = p * h
    if (s > 0.25) {
      const top = y - h / 2 + at
      const lit = app.hover?.part === "cell" && app.hover.query === i && app.hover.key === k - rest.length
      const tone = lit ? 1 : k % 2 ? 0.66 : 0.9
      ctx.fillStyle = theme.blend("surface", "value", tone)
      ctx.fillRect(c.x, top, c.w, Math.max(0.6, s - (s > 4 ? 0.8 : 0)))
      ctx.beginPath()
      const zt = y - zh / 2 + (at / h) * zh
      const zb = zt + p * zh
      const m = (c.r + z.x) / 2
      const end = lerp(c.r, z.x, part)
      ctx.moveTo(c.r, top)
      ctx.bezierCurveTo(m, top, m, zt, end, zt)
      ctx.lineTo(end, zb)
      ctx.bezierCurveTo(m, zb, m, top + s, c.r, top + s)
      ctx.fillStyle = theme.of("value", (i === q ? 0.42 : 0.26) * (lit ? 1.6 : 1))
      ctx.fill()
    }
    at += s
  })
  const w = stripWidth(app, head.z, z.w)
  drawStrip(app, head.z, was.head?.z, "value", i, z.x, y - zh / 2, w, zh, passed(app, i, z.x, z.r))
}

// All heads stand side by side before W_O: a tick per head, its opacity the norm of that head's z; the head on screen is marked.
function paintOutput(app, i) {
  const {ctx, L, theme, block, was} = app
  const c = L.at.wo
  const part = passed(app, i, c.x, c.r)
  if (!part) return
  const y = laneY(L, i)
  const heads = block.anatomy.n_heads
  const h = Math.min(L.gap - 4, 34 * L.tall)
  const norms = block.z_norm.subarray(i * heads, (i + 1) * heads)
  const most = Math.max(...norms, 1e-9)
  const each = h / heads
  ctx.globalAlpha = part
  for (let k = 0; k < heads; k++) {
    const mine = k === app.head.head
    ctx.fillStyle = mine ? theme.of("value") : theme.blend("surface", "value", 0.12 + 0.55 * (norms[k] / most))
    ctx.fillRect(c.x + (mine ? 0 : 4), y - h / 2 + k * each, c.w - (mine ? 0 : 8), Math.max(0.7, each - (each > 2.4 ? 0.8 : 0)))
  }
  ctx.globalAlpha = 1
  const zx = L.at.z.x + stripWidth(app, app.head.z, L.at.z.w)
  ctx.strokeStyle = theme.of("value", 0.7)
  ctx.lineWidth = 1.4
  ctx.beginPath()
  const hy = y - h / 2 + (app.head.head + 0.5) * each
  ctx.moveTo(zx, y)
  ctx.bezierCurveTo(zx + 5, y, c.x - 5, hy, c.x, hy)
  ctx.stroke()
  const end = L.at.plus1.m - 6
  ctx.lineWidth = i === chosen(app) ? 3 : 2
  ctx.strokeStyle = theme.of("value", 0.75)
  ctx.beginPath()
  ctx.moveTo(c.r - 3, y)
  ctx.lineTo(lerp(c.r, end, passed(app, i, c.r, end)), y)
  ctx.stroke()
  if (L.at.aout) {
    const w = stripWidth(app, block.attn_out, L.at.aout.w)
    drawStrip(
      app,
      block.attn_out,
      was.block?.attn_out,
      "value",
      i,
      L.at.aout.x,
      y - L.strip * 0.37,
      w,
      L.strip * 0.75,
      passed(app, i, L.at.aout.x, L.at.aout.r),
    )
  }
}

export function paintAttention(app) {
  if (app.block.anatomy.mixer !== "open") return
  paintLines(app)
  paintLetters(app)
  for (let i = 0; i < app.L.n; i++) {
    paintQKV(app, i)
    paintShares(app, i)
    paintOutput(app, i)
  }
  paintCells(app)
}
