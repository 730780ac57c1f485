// Painting the flow on narrow pages: the same parts in the same order, on lanes that run downwards.
import {paintBox} from "./closed.js"
import {clamp, easeOut, fill, percent, weight} from "./core.js"
import {plusRadius} from "./lanes.js"
import {mlpRows, rowKind} from "./mlp.js"
import {bothSides, firstKey, lastKey} from "./pattern.js"
import {laneX, phoneClosed, stripBox} from "./phone_layout.js"
import {drawStrip} from "./strips.js"

function grown(app, a, b) {
  return app.motion.run >= 1 ? 1 : clamp((app.motion.run - a) / (b - a), 0, 1)
}

function rails(app) {
  const {ctx, L, theme, sel, tokens} = app
  L.lanes.forEach((i, s) => {
    const on = i === sel.query - tokens.start
    const x = laneX(L, s)
    const stop = on ? L.y.end : L.y.blocks - 40
    ctx.strokeStyle = on ? theme.of("focus-mid") : theme.blend("surface", "lane", 0.55)
    ctx.lineWidth = on ? 5 : 3
    ctx.beginPath()
    ctx.moveTo(x, L.y.embed)
    ctx.lineTo(x, L.y.embed + (stop - L.y.embed) * grown(app, 0.05, 1))
    ctx.stroke()
  })
}

function frame(app) {
  const {ctx, L, theme} = app
  ctx.beginPath()
  ctx.roundRect(6, L.y.frame, L.W - 12, L.y.frameEnd - L.y.frame, 14)
  ctx.fillStyle = theme.of("surface")
  ctx.fill()
  ctx.strokeStyle = theme.of("border")
  ctx.lineWidth = 1
  ctx.stroke()
}

function sign(app, x, y, r, text, fillColour, stroke, ink) {
  const {ctx, theme} = app
  ctx.beginPath()
  ctx.arc(x, y, r, 0, 7)
  ctx.fillStyle = fillColour
  ctx.fill()
  ctx.strokeStyle = stroke
  ctx.lineWidth = 1.4
  ctx.stroke()
  ctx.fillStyle = ink ?? theme.of("muted")
  ctx.font = `600 10px ${app.font}`
  ctx.textAlign = "center"
  ctx.textBaseline = "middle"
  ctx.fillText(text, x, y + 0.5)
}

// Closed parts over all lanes; the residual stream goes on past a mixer or an MLP, and into a block that is run as a whole.
function boxes(app, whole) {
  for (const {part, place} of phoneClosed(app)) if ((part === "block") === whole) paintBox(app, part, place)
}

function vectors(app) {
  const {L, head, block, tokens, was, theme, ctx} = app
  const closed = phoneClosed(app)
  L.lanes.forEach((i, s) => {
    const put = (strip, old, kind, y, h, part) => {
      const b = stripBox(app, strip, s)
      drawStrip(app, strip, old, kind, i, b.x, y, b.w, h, part)
    }
    put(tokens.embed, was.tokens?.embed, "signed", L.y.embed - 9, 18, grown(app, 0, 0.1))
    if (tokens.pos_embed) put(tokens.pos_embed, was.tokens?.pos_embed, "signed", L.y.embed + 13, 10, grown(app, 0, 0.1))
    for (const each of closed) {
      const [on, off] = [each.part === "mlp" ? 0.72 : 0.2, each.part === "mlp" ? 0.82 : 0.6]
      put(block[each.reads], was.block?.[each.reads], "signed", each.before, 12, grown(app, on, on + 0.08))
      put(block[each.writes], was.block?.[each.writes], each.kind, each.behind, 12, grown(app, off, off + 0.06))
    }
    const letters = [
      ["q", "query"],
      ["k", "key"],
      ["v", "value"],
    ]
    ;(head.pattern ? letters : []).forEach(([letter, kind], r) => {
      const y = L.y.qkv + r * 22
      put(head[letter], was.head?.[letter], kind, y, 15, grown(app, 0.2, 0.3))
      if (s === 0) {
        ctx.fillStyle = theme.of(kind)
        ctx.beginPath()
        ctx.roundRect(11, y, 13, 15, 3)
        ctx.fill()
        ctx.fillStyle = theme.dark ? theme.of("background") : "#fff"
        ctx.font = `650 10px ${app.font}`
        ctx.textAlign = "center"
        ctx.textBaseline = "middle"
        ctx.fillText(letter, 17.5, y + 8)
      }
    })
    if (block.anatomy.mlp !== "open") return
    mlpRows(block).forEach((name, r) => put(block[name], was.block?.[name], rowKind(name), L.y.mlp + r * 13, 10, grown(app, 0.72, 0.82)))
    put(block.mlp_out, was.block?.mlp_out, "mlp", L.y.mlp + (mlpRows(block).length || 2) * 13 + 6, 10, grown(app, 0.82, 0.88))
  })
}

// The chosen token's row: its query runs along the cells, and weighted values flow from them into its z.
function attention(app) {
  const {ctx, L, theme, head, tokens, sel} = app
  if (!head.pattern) return
  const n = tokens.ids.length
  const q = clamp(sel.query - tokens.start, 0, n - 1)
  const qs = L.lanes.indexOf(q)
  const y = L.y.cells
  const part = grown(app, 0.3, 0.5)
  const zx = laneX(L, qs)
  ctx.strokeStyle = theme.of("query", 0.9)
  ctx.lineWidth = 2.4
  ctx.beginPath()
  ctx.moveTo(zx, y)
  ctx.lineTo(zx + (laneX(L, 0) - zx) * part, y)
  ctx.moveTo(zx, y)
  ctx.lineTo(zx + (laneX(L, L.lanes.length - 1) - zx) * part, y) // ends at the chosen token, unless it attends to later ones too
  ctx.stroke()
  L.lanes.forEach((j, s) => {
    const p = head.pattern[q * n + j]
    const x = laneX(L, s)
    ctx.strokeStyle = theme.of("key", 0.8)
    ctx.lineWidth = 1.6
    ctx.beginPath()
    ctx.moveTo(x + 9, L.y.qkv + 38)
    ctx.bezierCurveTo(x + 9, y - 30, x, L.y.qkv + 62, x, y - 17)
    ctx.stroke()
    const wide = 26 * p * grown(app, 0.5, 0.62)
    ctx.strokeStyle = theme.of("value", 0.45)
    ctx.lineWidth = Math.max(0.8, wide)
    ctx.beginPath()
    ctx.moveTo(x, y + 15)
    ctx.bezierCurveTo(x, y + 52, zx, y + 34, zx, L.y.z - 8)
    ctx.stroke()
    ctx.beginPath()
    ctx.arc(x, y, 17 * easeOut(part), 0, 7)
    ctx.fillStyle = theme.weightColour(p)
    ctx.fill()
    ctx.strokeStyle = theme.of("focus")
    ctx.lineWidth = 1.6
    ctx.stroke()
    ctx.fillStyle = theme.weightInk(p)
    ctx.font = `600 11px ${app.font}`
    ctx.textAlign = "center"
    ctx.textBaseline = "middle"
    if (part >= 1) ctx.fillText(weight(p), x, y + 0.5)
  })
  const b = stripBox(app, head.z, qs)
  drawStrip(app, head.z, app.was.head?.z, "value", q, b.x, L.y.z - 6, b.w, 12, grown(app, 0.6, 0.66))
}

function nodes(app) {
  const {L, theme, block} = app
  const {norm_place: place, parallel, mixer, mlp, whole} = block.anatomy
  const {wrote, norms} = block
  const before = place === "pre" || place === "sandwich"
  L.lanes.forEach((i, s) => {
    const x = laneX(L, s)
    if (before && mixer) sign(app, x, L.y.norm, 9, "N", theme.of("surface"), theme.of("lane"))
    if (before && !parallel && mlp) sign(app, x, L.y.norm2, 9, "N", theme.of("surface"), theme.of("lane"))
    if (place === "sandwich" || place === "branch") {
      if (mixer) sign(app, x, L.y.plus1 - 26, 8, "N", theme.of("surface"), theme.of("lane"))
      if (mlp) sign(app, x, L.y.plus2 - 26, 8, "N", theme.of("surface"), theme.of("lane"))
    }
    const y1 = parallel && mlp ? L.y.plus2 - 26 : L.y.plus1
    const plus = (y, name, colour) =>
      name &&
      sign(
        app,
        x,
        y,
        plusRadius(app, norms[name][i]),
        "+",
        theme.blend("surface", colour, 0.2),
        theme.of(colour),
        theme.of(colour === "lane" ? "muted" : `${colour}-ink`),
      )
    plus(y1, wrote.mixer, whole ? "lane" : "value")
    plus(L.y.plus2, wrote.mlp, "mlp")
  })
}

// Words at the left margin of each part, and how much attention the lanes that are not shown get.
function captionsOf(app) {
  if (!app.head.pattern) return
  const {ctx, L, theme, T, head, tokens, sel} = app
  const n = tokens.ids.length
  const q = clamp(sel.query - tokens.start, 0, n - 1)
  const seen = L.lanes.reduce((sum, j) => sum + head.pattern[q * n + j], 0)
  const beside = bothSides(app) ? tokens.total - n : tokens.start
  const before = head.earlier.length && !Number.isNaN(head.earlier[q]) ? beside : 0 // a sliding window may leave them out
  const hidden = lastKey(app, q) + 1 - firstKey(app, q) + before - L.lanes.length
  ctx.font = `500 11px ${app.font}`
  ctx.textAlign = "right"
  ctx.textBaseline = "middle"
  ctx.fillStyle = theme.of("muted")
  if (hidden > 0) {
    const first = tokens.start > 0 && !Number.isNaN(head.first[q])
    const words = hidden === 1 ? T.phone_one : first ? T.phone_first : T.phone_rest
    const text = fill(words, {n: hidden, p: percent(Math.max(0, 1 - seen)), first: percent(head.first[q])})
    const w = ctx.measureText(text).width + 20
    const [x, y] = [L.W - 16 - w, L.y.attention + 11]
    ctx.beginPath() // a background for the words, since lanes run on behind them
    ctx.roundRect(x, y - 10, w, 20, 10)
    ctx.fillStyle = theme.of("surface")
    ctx.fill()
    ctx.strokeStyle = theme.of("border")
    ctx.lineWidth = 1
    ctx.stroke()
    ctx.textAlign = "left"
    ctx.fillStyle = theme.of("muted")
    ctx.fillText(text, x + 10, y + 0.5)
    ctx.textAlign = "right"
  }
  ctx.fillText("W_O", L.W - 12, L.y.plus1 - 16)
}

// The end of the chosen lane: it leads to the next tokens, which stand at the top here.
function ending(app) {
  const {ctx, L, theme, T, sel, tokens} = app
  const x = laneX(L, L.lanes.indexOf(clamp(sel.query - tokens.start, 0, L.n - 1)))
  if (app.anatomy.final_norm) sign(app, x, L.y.end, 9, "N", theme.of("surface"), theme.of("lane"))
  const left = x > L.W / 2
  ctx.font = `600 12px ${app.font}`
  ctx.textAlign = left ? "right" : "left"
  ctx.textBaseline = "middle"
  ctx.fillStyle = theme.of("focus-ink")
  ctx.fillText(`${app.next?.heading ?? T.next} ↑`, left ? x - 18 : x + 18, L.y.end)
}

// A background for the heads, since lanes run on behind them.
function headsGround(app) {
  const {ctx, L, theme} = app
  ctx.fillStyle = theme.of("surface")
  ctx.fillRect(8, L.y.thumbs - 30, L.W - 16, L.y.frameEnd - L.y.thumbs + 24)
}

export function paintPhone(app, paintHeads, paintBlocks) {
  frame(app)
  boxes(app, false)
  rails(app)
  boxes(app, true)
  vectors(app)
  attention(app)
  nodes(app)
  captionsOf(app)
  headsGround(app)
  paintHeads(app)
  paintBlocks(app)
  ending(app)
}
