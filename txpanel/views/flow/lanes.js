// Lanes (residual streams), embeddings, norms, and the pluses where an output is added.
import {clamp, easeOut, lerp} from "./core.js"
import {hatch} from "./hatch.js"
import {laneY} from "./layout.js"
import {passed} from "./motion.js"
import {drawStrip, stripWidth} from "./strips.js"

export const chosen = (app) => app.sel.query - app.tokens.start // the chosen token's lane; may be outside the window

export function paintLanes(app) {
  const {ctx, L, theme} = app
  const a = L.at
  for (let i = 0; i < L.n; i++) {
    const on = i === chosen(app)
    const y = laneY(L, i)
    const x0 = a.embed.x + a.embed.w
    const x1 = a.blocks.r
    const part = passed(app, i, x0, x1)
    if (!part) continue
    ctx.strokeStyle = on ? theme.of("focus-mid") : theme.blend("surface", "lane", 0.55)
    ctx.lineWidth = on ? (L.dense ? 4 : 6) : L.dense ? 2 : 3.5
    ctx.lineCap = "butt"
    ctx.beginPath()
    ctx.moveTo(x0, y)
    ctx.lineTo(lerp(x0, x1, part), y)
    ctx.stroke()
  }
}

export function paintEmbedding(app) {
  const {L, tokens, was} = app
  const a = L.at.embed
  for (let i = 0; i < L.n; i++) {
    const y = laneY(L, i)
    const part = passed(app, i, a.x, a.r)
    const w = stripWidth(app, tokens.embed, a.w)
    const two = tokens.pos_embed
    const h = two ? Math.max(3, L.strip * 0.62) : L.strip
    const x = a.r - w
    drawStrip(app, tokens.embed, was.tokens?.embed, "signed", i, x, two ? y - h - 1 : y - h / 2, w, h, part)
    if (two) drawStrip(app, tokens.pos_embed, was.tokens?.pos_embed, "signed", i, x, y + 1, w, h, part)
  }
}

function disc(app, x, y, r, fill, stroke, width = 1.4) {
  const {ctx} = app
  ctx.beginPath()
  ctx.arc(x, y, Math.max(0, r), 0, 7)
  ctx.fillStyle = fill
  ctx.fill()
  if (stroke) {
    ctx.strokeStyle = stroke
    ctx.lineWidth = width
    ctx.stroke()
  }
}

export function normSign(app, x, y, part, r, closed = false) {
  if (part <= 0) return
  const {ctx, theme} = app
  disc(app, x, y, r * easeOut(part), theme.of("surface"), theme.of(closed ? "closed" : "lane"), 1.2)
  if (closed && part >= 1) hatch(app, x - r, y - r, 2 * r, 2 * r, r, 0.7, 4)
  if (r < 5.5 || part < 1) return
  ctx.fillStyle = theme.of("muted")
  ctx.font = `500 ${r > 7 ? 9.5 : 8}px ${app.font}`
  ctx.textAlign = "center"
  ctx.textBaseline = "middle"
  ctx.fillText("N", x, y + 0.5)
}

// Radius of a plus: the norm of what is written, on a log scale from 0 to the largest on screen.
export function plusRadius(app, value) {
  const {norms, wrote} = app.block
  const most = Object.values(wrote).reduce((found, name) => Math.max(found, ...norms[name]), 1e-6)
  const room = Math.min(13, app.L.gap / 2 - 2)
  return Math.max(2.5, room * (0.35 + 0.65 * (Math.log1p(value) / Math.log1p(most))))
}

function plusSign(app, name, x, i, colour, part) {
  const {ctx, L, theme, block, was} = app
  if (!name) return
  const y = laneY(L, i)
  const norms = block.norms[name]
  const old = was.block?.norms[name]?.[i] ?? norms[i]
  const r = plusRadius(app, lerp(old, norms[i], app.motion.mix)) * (part < 1 ? easeOut(part) * (1 + 0.35 * Math.sin(part * Math.PI)) : 1)
  if (part <= 0) return
  const on = i === chosen(app)
  disc(app, x, y, r, theme.blend("surface", colour, on ? 0.3 : 0.18), theme.of(colour), on ? 2 : 1.4)
  const arm = r * 0.45
  if (arm < 1.6) return
  ctx.strokeStyle = theme.of(colour === "lane" ? "muted" : `${colour}-ink`)
  ctx.lineWidth = 1.5
  ctx.beginPath()
  ctx.moveTo(x - arm, y)
  ctx.lineTo(x + arm, y)
  ctx.moveTo(x, y - arm)
  ctx.lineTo(x, y + arm)
  ctx.stroke()
}

const NORMS = [
  ["n1", "ln1"],
  ["n1b", "attn_norm"],
  ["n2", "ln2"],
  ["n2b", "mlp_norm"],
]

// Norms where this family has them, and both pluses.
export function paintNodes(app) {
  const {L} = app
  const {wrote, closed, anatomy} = app.block
  const {whole} = anatomy
  const a = L.at
  const r = clamp(L.gap / 4, 3.5, 8)
  for (let i = 0; i < L.n; i++) {
    const y = laneY(L, i)
    const at = (c) => passed(app, i, c.x, c.r + 10)
    for (const [column, name] of NORMS) if (a[column]?.w > 1) normSign(app, a[column].m, y, at(a[column]), r, Boolean(closed[name]))
    plusSign(app, wrote.mixer, a.plus1.m, i, whole ? "lane" : "value", at(a.plus1))
    plusSign(app, wrote.mlp, a.plus2.m, i, "mlp", at(a.plus2))
  }
  const i = chosen(app)
  if (i >= 0 && i < L.n && app.anatomy.final_norm) normSign(app, a.nf.m, laneY(L, i), passed(app, i, a.nf.x, a.nf.r), Math.max(r, 6))
}
