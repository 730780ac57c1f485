// Around the lanes: the block's frame, thumbnails of its heads, how much every block adds to the residual stream, and the fan into the next tokens.
import {ellipsis, lerp} from "./core.js"
import {hatch} from "./hatch.js"
import {chosen} from "./lanes.js"
import {laneY, thumbAt} from "./layout.js"
import {passed} from "./motion.js"

const images = new WeakMap()

// One image per head from uint8 [H, P, P]; what the mask forbids (may[r, c] is 0) stays empty.
export function thumbImage(app, thumbs, may, h) {
  const key = thumbs
  let found = images.get(key)
  if (!found || found.version !== app.theme.version) {
    found = {version: app.theme.version, made: []}
    images.set(key, found)
  }
  if (!found.made[h]) {
    const [, side] = thumbs.shape
    const image = new OffscreenCanvas(side, side)
    const data = new ImageData(side, side)
    const table = app.theme.probability
    for (let r = 0; r < side; r++) {
      for (let c = 0; c < side; c++) {
        if (!may[r * side + c]) continue
        const i = Math.round(Math.sqrt(thumbs[(h * side + r) * side + c] / 255) * 255) * 3
        const o = (r * side + c) * 4
        data.data.set([table[i], table[i + 1], table[i + 2], 255], o)
      }
    }
    image.getContext("2d").putImageData(data, 0, 0)
    found.made[h] = image
  }
  return found.made[h]
}

export function card(app, x, y, w, h, r = 14) {
  const {ctx, theme} = app
  ctx.beginPath()
  ctx.roundRect(x, y, w, h, r)
  ctx.fillStyle = theme.of("surface")
  ctx.fill()
  ctx.strokeStyle = theme.of("border")
  ctx.lineWidth = 1
  ctx.stroke()
}

// Blocks before or after this one, which the picture leaves out: the lanes are cut, and words say how many are missing.
function cut(app, x, words, count) {
  const {ctx, L, theme} = app
  if (!count) return
  const y0 = L.y0 - 24
  const y1 = laneY(L, L.n - 1) + 24
  ctx.fillStyle = theme.of("background")
  ctx.fillRect(x - 7, y0, 14, y1 - y0)
  ctx.strokeStyle = theme.of("lane", 0.8)
  ctx.setLineDash([2, 4])
  ctx.lineWidth = 1
  ctx.beginPath()
  ctx.moveTo(x - 7, y0)
  ctx.lineTo(x - 7, y1)
  ctx.moveTo(x + 7, y0)
  ctx.lineTo(x + 7, y1)
  ctx.stroke()
  ctx.setLineDash([])
  ctx.save()
  ctx.translate(x, (y0 + y1) / 2)
  ctx.rotate(-Math.PI / 2)
  ctx.font = `500 ${10 * app.k}px ${app.font}`
  ctx.textAlign = "center"
  ctx.textBaseline = "middle"
  ctx.fillStyle = theme.of("muted")
  ctx.fillText(words, 0, 0)
  ctx.restore()
}

export function paintCuts(app) {
  const {L, block} = app
  const before = block.layer
  const after = app.layers - 1 - block.layer
  const words = (one, many, n) => (n === 1 ? one : many).replace("{n}", n)
  cut(app, L.at.skip.m - 2, words(app.T.block_before, app.T.blocks_before, before), before)
  cut(app, (L.box.r + L.at.blocks.x) / 2, words(app.T.block_after, app.T.blocks_after, after), after)
}

export function paintFrame(app) {
  const {ctx, L, theme} = app
  card(app, L.box.x, L.top, L.box.r - L.box.x, L.boxBottom - L.top, 16)
  const m = L.at.mat
  if (!m.w) return
  ctx.beginPath()
  ctx.roundRect(m.x, L.top + 24, m.w, L.frame, 12)
  ctx.fillStyle = theme.blend("surface", "background", 0.45)
  ctx.fill()
  ctx.strokeStyle = theme.of("border")
  ctx.lineWidth = 1
  ctx.stroke()
}

export function paintHeads(app) {
  const {ctx, L, theme, block, small} = app
  const heads = block.anatomy.n_heads
  for (let h = 0; h < heads; h++) {
    const t = thumbAt(L, block, h)
    const on = h === app.head.head
    ctx.beginPath()
    ctx.roundRect(t.x - 2, t.y - 2, t.s + 4, t.s + 4, 6)
    ctx.fillStyle = theme.of("surface")
    ctx.fill()
    ctx.strokeStyle = on ? theme.of("focus") : theme.of("border")
    ctx.lineWidth = on ? 2.2 : 1
    ctx.stroke()
    if (!small) continue
    ctx.imageSmoothingEnabled = false
    ctx.drawImage(thumbImage(app, small.thumbs, small.may, h), t.x + 1, t.y + 1, t.s - 2, t.s - 2)
  }
}

// Per block, what attention (up) and the MLP (down) added to the residual stream of the chosen token; height is the square root of the norm.
export function paintBlocks(app) {
  const {ctx, L, theme, writes, block} = app
  const c = L.at.blocks
  const y0 = L.phone ? L.y.blocks : L.top + 24
  const y1 = L.phone ? y0 + 130 : L.bottom + L.gap / 2 + 20
  card(app, c.x, y0, c.w, y1 - y0, 12)
  const i = chosen(app)
  const mid = (y0 + y1) / 2
  app.hit.blocks = {x: c.x + 10, w: c.w - 20, y0, y1, mid}
  const half = (y1 - y0) / 2 - 30
  const step = (c.w - 20) / app.layers
  const wide = Math.min(16, Math.max(1, step - (step > 3 ? 1.2 : 0.4)))
  const most = Math.max(1e-9, ...writes.attn.filter(Number.isFinite), ...writes.mlp.filter(Number.isFinite))
  const {wrote, closed} = app.anatomy
  for (let l = 0; l < app.layers; l++) {
    const x = c.x + 10 + l * step + (step - wide) / 2
    const on = l === block.layer
    for (const [rows, colour, dir, k] of [
      [writes.attn, wrote[l][0] === "block_out" ? "lane" : "value", -1, 0],
      [writes.mlp, "mlp", 1, 1],
    ]) {
      if (!wrote[l][k]) continue // the block has no such part
      ctx.fillStyle = theme.of(colour, on ? 1 : 0.5)
      if (!Number.isFinite(rows[l])) {
        ctx.fillStyle = theme.of("border")
        ctx.fillRect(x, mid + (dir < 0 ? -4 : 2), wide, 2)
        continue
      }
      const part = i < 0 || L.phone ? 1 : passed(app, Math.min(i, L.n - 1), c.x, c.r)
      const h = Math.max(1, half * Math.sqrt(Math.max(0, rows[l]) / most)) * part
      const y = dir < 0 ? mid - 2 - h : mid + 2
      ctx.beginPath()
      ctx.roundRect(x, y, wide, h, Math.min(1.5, wide / 3))
      if (closed[l][k]) ctx.fillStyle = theme.blend("surface", colour, on ? 0.45 : 0.25)
      ctx.fill()
      if (!closed[l][k]) continue
      ctx.strokeStyle = theme.of(colour, on ? 1 : 0.6)
      ctx.lineWidth = 1
      ctx.stroke()
      hatch(app, x, y, wide, h, Math.min(1.5, wide / 3), on ? 1 : 0.6, Math.min(5, Math.max(3, wide / 2)), colour)
    }
    if (on) {
      ctx.strokeStyle = theme.of("focus")
      ctx.lineWidth = 1.6
      ctx.beginPath()
      ctx.roundRect(x - 2.5, y0 + 26, wide + 5, y1 - y0 - 52, 5)
      ctx.stroke()
    }
  }
  const words = app.anatomy.first
  ctx.font = `600 ${10.5 * app.k}px ${app.font}`
  const room = (c.w - 14) / ctx.measureText(words).width
  if (room < 1) ctx.font = `600 ${Math.max(9.5, 10.5 * app.k * room)}px ${app.font}`
  ctx.textBaseline = "alphabetic"
  ctx.textAlign = "left"
  ctx.fillStyle = theme.of("value-ink")
  ctx.fillText(ellipsis(ctx, words, c.w - 12), c.x + Math.min(10, Math.max(6, (c.w - ctx.measureText(words).width) / 2)), y0 + 18)
  ctx.fillStyle = theme.of("mlp-ink")
  if (wrote.some(([, mlp]) => mlp)) ctx.fillText(app.T.mlp_writes, c.x + 10, y1 - 9)
}

// From the chosen lane, after the final norm, to each listed token: width is its probability.
export function paintFan(app) {
  const {ctx, L, theme, next, was} = app
  const i = chosen(app)
  const a = L.at
  const inside = i >= 0 && i < L.n
  const y = inside ? laneY(L, i) : laneY(L, L.n - 1)
  const part = inside ? passed(app, i, a.nf.r, a.next.x) : 1
  if (part <= 0 || !next) return
  const x0 = a.nf.r - 2
  const x1 = a.next.x + 4
  if (inside) {
    ctx.strokeStyle = theme.of("focus-mid")
    ctx.lineWidth = L.dense ? 4 : 6
    ctx.beginPath()
    ctx.moveTo(a.blocks.r, y)
    ctx.lineTo(lerp(a.blocks.r, a.nf.x, passed(app, i, a.blocks.r, a.nf.x)), y)
    ctx.stroke()
  }
  ctx.save()
  if (part < 1) {
    ctx.beginPath()
    ctx.rect(x0, 0, (x1 - x0) * part, L.H)
    ctx.clip()
  }
  const all = 26 // pixels for a probability of 1
  let from = y - all / 2
  for (let k = 0; k <= next.ids.length; k++) {
    const listed = k < next.ids.length
    const p = listed ? next.share[k] : next.rest_share
    const old = was.next && listed ? (was.next.share[k] ?? p) : p
    const ty = app.listRowY(k)
    const w = all * lerp(old, p, app.motion.mix)
    const [m, h] = [lerp(x0, x1, 0.5), Math.max(w, 0.8)]
    ctx.fillStyle = listed ? theme.of("focus", next.sampled === k ? 0.6 : 0.34) : theme.of("lane", 0.3)
    ctx.beginPath()
    ctx.moveTo(x0, from)
    ctx.bezierCurveTo(m, from, m, ty - h / 2, x1, ty - h / 2)
    ctx.lineTo(x1, ty + h / 2)
    ctx.bezierCurveTo(m, ty + h / 2, m, from + h, x0, from + h)
    ctx.fill()
    from += w
  }
  ctx.restore()
}
