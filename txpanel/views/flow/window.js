// Long texts: the whole text's pattern, made small by max-pooling, in the corner that a causal mask leaves empty; a square on it marks what the lanes show.
import {thumbImage} from "./blocks.js"
import {bothSides} from "./pattern.js"

const wrapped = new WeakMap()

// A single map as a list of one, so that thumbnails and the map share their painter.
function asList(map) {
  if (!wrapped.has(map)) wrapped.set(map, Object.assign(new Uint8Array(map.buffer, map.byteOffset, map.length), {shape: [1, ...map.shape]}))
  return wrapped.get(map)
}

export function paintMap(app) {
  const {ctx, L, theme, head, tokens} = app
  if (!L.windowed || !head.map.length || bothSides(app)) return // without a causal mask there is no such corner
  const s = Math.min(L.at.mat.w * 0.36, (L.bottom - L.top) * 0.36)
  const x = L.at.mat.r - s - 12
  const y = L.top + 78
  app.hit.map = {x, y, s}
  ctx.fillStyle = theme.of("surface")
  ctx.fillRect(x - 3, y - 3, s + 6, s + 6)
  ctx.strokeStyle = theme.of("border")
  ctx.lineWidth = 1
  ctx.strokeRect(x - 3.5, y - 3.5, s + 7, s + 7)
  ctx.imageSmoothingEnabled = false
  ctx.drawImage(thumbImage(app, asList(head.map), head.map_may, 0), x, y, s, s)
  const a = (tokens.start / tokens.total) * s
  const w = (L.n / tokens.total) * s
  ctx.strokeStyle = theme.of("focus")
  ctx.lineWidth = 1.8
  ctx.strokeRect(x + a, y + a, Math.max(3, w), Math.max(3, w))
  ctx.font = `500 10px ${app.font}`
  ctx.textAlign = "right"
  ctx.textBaseline = "alphabetic"
  ctx.fillStyle = theme.of("muted")
  ctx.fillText(app.T.map_title, x + s, y - 9)
}
