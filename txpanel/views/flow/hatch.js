// The pattern of what is not opened: diagonal lines of one width and distance, in light and in dark.
const STEP = 9 // pixels between the lines of the pattern

export function hatch(app, x, y, w, h, radius = 10, alpha = 0.42, step = STEP, colour = "closed") {
  const {ctx, theme} = app
  ctx.save()
  ctx.beginPath()
  ctx.roundRect(x, y, w, h, radius)
  ctx.clip()
  ctx.strokeStyle = theme.of(colour, alpha)
  ctx.lineWidth = 1.1
  ctx.beginPath()
  for (let at = -h; at < w; at += step) {
    ctx.moveTo(x + at, y + h)
    ctx.lineTo(x + at + h, y)
  }
  ctx.stroke()
  ctx.restore()
}
