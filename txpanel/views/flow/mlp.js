// The MLP of each lane: gate, up and what the activation leaves; or the experts of a mixture; then down to the lane.
import {clamp, lerp} from "./core.js"
import {chosen, normSign} from "./lanes.js"
import {laneY} from "./layout.js"
import {passed} from "./motion.js"
import {drawStrip, stripWidth} from "./strips.js"

// The strips that exist in this block, in the order in which they are computed.
export const mlpRows = (block) => ["mlp_gate", "mlp_pre", "mlp_post", ...slotNames(block), "shared_post"].filter((name) => block[name])

// In a mixture each slot holds the neurons of the expert that the router chose for it.
const slotNames = (block) => (block.experts ? Array.from({length: block.experts.expert.shape[1]}, (_, s) => `mlp_post.${s}`) : [])

export const rowKind = (name) => (name === "mlp_gate" || name === "mlp_pre" ? "signed" : "mlp")

export function mlpBox(app, i) {
  const {L, block} = app
  const rows = mlpRows(block)
  const c = L.at.mlp
  const h = rows.length < 3 && !L.dense ? L.mlpH * 0.8 : L.mlpH
  const w = rows.length ? stripWidth(app, block[rows[0]], c.w - 8) : c.w - 8
  const pad = L.dense ? 1.5 : 4
  const router = block.experts ? clamp(L.gap * 0.28, 4, 12) : 0 // the experts stand above their neurons
  const each = (h - pad * 2 - router) / Math.max(1, rows.length)
  const top = laneY(L, i) - h / 2 + pad
  return {
    x: c.m - w / 2 - 4,
    y: laneY(L, i) - h / 2,
    w: w + 8,
    h,
    rows,
    router: {y: top, h: router},
    strips: {x: c.m - w / 2, w},
    row: (r) => top + router + r * each,
    each,
  }
}

// The lane widens into the neurons and narrows again: its width is schematic, it only means "more numbers".
function lens(app, b, y, part) {
  const {ctx, L, theme} = app
  const from = L.at.mlp.x - 16
  const to = L.at.mout.x
  const t = Math.max(1, L.strip * 0.2)
  ctx.save()
  if (part < 1) {
    ctx.beginPath()
    ctx.rect(from, 0, (to - from) * part, L.H)
    ctx.clip()
  }
  ctx.beginPath()
  ctx.moveTo(from, y - t)
  ctx.bezierCurveTo(b.x - 2, y - t, from + 4, b.y, b.x + 8, b.y)
  ctx.lineTo(b.x + b.w - 8, b.y)
  ctx.bezierCurveTo(to - 4, b.y, b.x + b.w + 2, y - t, to, y - t)
  ctx.lineTo(to, y + t)
  ctx.bezierCurveTo(b.x + b.w + 2, y + t, to - 4, b.y + b.h, b.x + b.w - 8, b.y + b.h)
  ctx.lineTo(b.x + 8, b.y + b.h)
  ctx.bezierCurveTo(from + 4, b.y + b.h, b.x - 2, y + t, from, y + t)
  ctx.fillStyle = theme.blend("surface", "mlp", 0.2)
  ctx.fill()
  ctx.restore()
}

// The weight that each of the n experts has for lane i; 0 for those that the router left out.
function expertWeights({block}, i) {
  const k = block.experts.expert.shape[1]
  const found = new Float32Array(block.anatomy.experts.n)
  for (let s = 0; s < k; s++) found[block.experts.expert[i * k + s]] = block.experts.weight[i * k + s]
  return found
}

// The router: a field per expert; those that the token is sent to are filled, the stronger the larger their weight.
function paintExperts(app, b, i, part) {
  const {ctx, theme, block} = app
  const {n} = block.anatomy.experts
  const weights = expertWeights(app, i)
  const lines = n > 32 && b.router.h > 8 ? 2 : 1
  const cols = Math.ceil(n / lines)
  const w = b.strips.w / cols
  const h = (b.router.h - 1) / lines
  const named = w >= 15 && h >= 9
  for (let e = 0; e < n; e++) {
    const share = weights[e]
    const [x, y] = [b.strips.x + (e % cols) * w, b.router.y + Math.floor(e / cols) * h]
    ctx.globalAlpha = part
    ctx.fillStyle = share ? theme.blend("surface", "mlp", 0.25 + 0.75 * Math.min(1, share)) : theme.of("sunken")
    ctx.beginPath()
    ctx.roundRect(x + 0.5, y, Math.max(1, w - 1), Math.max(1, h - (named ? 2 : 1)), w > 6 ? 2 : 0)
    ctx.fill()
    if (!named) continue
    ctx.fillStyle = share > 0.45 && !theme.dark ? "#fff" : theme.of(share ? "text" : "muted")
    ctx.font = `${share ? 650 : 400} 9.5px ${app.font}`
    ctx.textAlign = "center"
    ctx.textBaseline = "middle"
    ctx.fillText(String(e), x + w / 2, y + h / 2 - 0.5)
  }
  ctx.globalAlpha = 1
}

export function paintMLP(app) {
  const {ctx, L, theme, block, was} = app
  if (block.anatomy.mlp !== "open") return
  for (let i = 0; i < L.n; i++) {
    const y = laneY(L, i)
    const b = mlpBox(app, i)
    const part = passed(app, i, L.at.mlp.x - 16, L.at.mlp.r)
    if (!part) continue
    lens(app, b, y, part)
    ctx.beginPath()
    ctx.roundRect(b.x, b.y, b.w, b.h, L.dense ? 3 : 7)
    ctx.fillStyle = theme.of("surface", part)
    ctx.fill()
    ctx.strokeStyle = i === chosen(app) ? theme.of("mlp", part) : theme.blend("border", "mlp", 0.25, part)
    ctx.lineWidth = i === chosen(app) ? 1.6 : 1
    ctx.stroke()
    if (block.experts) paintExperts(app, b, i, part)
    b.rows.forEach((name, r) =>
      drawStrip(
        app,
        block[name],
        was.block?.[name],
        rowKind(name),
        i,
        b.strips.x,
        b.row(r),
        b.strips.w,
        Math.max(2, b.each - (L.dense ? 1 : 3)),
        part,
      ),
    )
    const m = L.at.mout
    const w = stripWidth(app, block.mlp_out, m.w)
    const done = passed(app, i, m.x, m.r)
    drawStrip(app, block.mlp_out, was.block?.mlp_out, "mlp", i, m.x, y - L.strip * 0.37, w, L.strip * 0.75, done)
    const x1 = L.at.plus2.m - 6
    ctx.strokeStyle = theme.of("mlp", 0.6)
    ctx.lineWidth = i === chosen(app) ? 3 : 2
    ctx.beginPath()
    ctx.moveTo(m.x + w, y)
    ctx.lineTo(lerp(m.x + w, x1, passed(app, i, m.r, x1)), y)
    ctx.stroke()
  }
}

// In a parallel block the MLP has the same input as attention: a line runs above the lane, past attention, from the norm that both share or through one
// of its own.
export function paintParallel(app) {
  const {ctx, L, theme, block} = app
  if (!block.anatomy.parallel || !block.anatomy.mixer || !block.anatomy.mlp) return
  const own = !block.anatomy.shared_norm
  const shut = L.at.shut2 && L.at.lin
  for (let i = 0; i < L.n; i++) {
    const y = laneY(L, i)
    const up = y - L.gap / 2 + (L.dense ? 2 : 5)
    const x0 = own ? L.at.n1.x - 4 : L.at.n1.m
    const x1 = (shut ?? L.at.mlp).x - 10
    const part = passed(app, i, x0, x1)
    ctx.strokeStyle = theme.of("mlp", 0.6)
    ctx.lineWidth = 1.4
    ctx.beginPath()
    ctx.moveTo(x0, own ? y : y - 7)
    ctx.quadraticCurveTo(x0, up, x0 + 10, up)
    ctx.lineTo(lerp(x0 + 10, x1 - 8, part), up)
    if (part >= 1) ctx.quadraticCurveTo(x1, up, x1 + 4, y - 2)
    ctx.stroke()
    if (own && part > 0.1) normSign(app, (L.at.min ?? L.at.qkv).r + 10, up, 1, Math.min(7, L.gap / 4))
  }
}
