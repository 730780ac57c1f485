// Strips: real vectors, one image per tensor (a pixel per bar, a row per lane), coloured once and then only copied.
import {clamp} from "./core.js"

const cache = new WeakMap()

function paint(strip, table) {
  const [n, bars] = strip.value.shape
  const image = new OffscreenCanvas(Math.max(bars, 1), Math.max(n, 1))
  if (!n || !bars) return image
  const data = new ImageData(bars, n)
  for (let i = 0; i < n; i++) {
    const unit = 127.5 / strip.scale[i]
    for (let b = 0; b < bars; b++) {
      const c = Math.round(clamp(127.5 + strip.value[i * bars + b] * unit, 0, 255)) * 3
      const o = (i * bars + b) * 4
      data.data[o] = table[c]
      data.data[o + 1] = table[c + 1]
      data.data[o + 2] = table[c + 2]
      data.data[o + 3] = 255
    }
  }
  image.getContext("2d").putImageData(data, 0, 0)
  return image
}

function picture(app, strip, kind) {
  const found = cache.get(strip)
  if (found && found.version === app.theme.version && found.kind === kind) return found.image
  const image = paint(strip, app.theme.table(kind))
  cache.set(strip, {version: app.theme.version, kind, image})
  return image
}

// Whole device pixels per bar where there is room for them: crisp and even.
export function stripWidth(app, strip, width) {
  const bars = strip.value.shape[1]
  const each = Math.floor((width * app.dpr) / bars)
  return each >= 1 ? (each * bars) / app.dpr : width
}

// Draw lane i of a strip into x, y, w, h; `old` is what stood there before and fades while app.motion.mix runs; `part` is how much is shown.
export function drawStrip(app, strip, old, kind, i, x, y, w, h, part = 1) {
  const {ctx, theme} = app
  if (!strip || part <= 0 || i >= strip.value.shape[0]) return
  const bars = strip.value.shape[1]
  ctx.save()
  ctx.imageSmoothingEnabled = (w * app.dpr) / bars < 1
  if (part < 1) {
    ctx.beginPath()
    ctx.rect(x - 1, y - 1, (w + 2) * part, h + 2)
    ctx.clip()
  }
  const mix = app.motion.mix
  const before = old && old !== strip && mix < 1 && i < old.value.shape[0]
  if (before) ctx.drawImage(picture(app, old, kind), 0, i, old.value.shape[1], 1, x, y, w, h)
  ctx.globalAlpha = before ? mix : 1
  ctx.drawImage(picture(app, strip, kind), 0, i, bars, 1, x, y, w, h)
  ctx.globalAlpha = 1
  ctx.strokeStyle = theme.of("border")
  ctx.lineWidth = 1
  if (h >= 7) {
    ctx.beginPath()
    ctx.roundRect(x - 0.5, y - 0.5, w + 1, h + 1, 2)
    ctx.stroke()
  }
  ctx.restore()
}

// The bar under x: its value, the index it stands for, and the run of entries it is the largest of.
export function barAt(strip, i, x, x0, w) {
  const bars = strip.value.shape[1]
  const b = clamp(Math.floor(((x - x0) / w) * bars), 0, bars - 1)
  const low = Math.floor((b * strip.size) / bars)
  const high = Math.floor(((b + 1) * strip.size) / bars) - 1
  return {b, value: strip.value[i * bars + b], index: strip.index.length ? strip.index[i * bars + b] : b, low, high, scale: strip.scale[i]}
}
