// For the components that draw vectors as strips of colour.
import {index, paint} from "./colours.js"
import {onTheme} from "./theme.js"

/** Draw one vector as a strip; where several numbers share a pixel, the one with the largest size is drawn. */
export function paintStrip(canvas, values, scale, dark) {
  const n = values.length
  const columns = Math.max(1, Math.min(n, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1))))
  const data = new Uint8Array(columns)
  for (let x = 0; x < columns; x++) {
    const from = Math.floor((x * n) / columns)
    const to = Math.max(from + 1, Math.floor(((x + 1) * n) / columns))
    let v = values[from]
    for (let i = from; i < to; i++) if (Math.abs(values[i]) > Math.abs(v)) v = values[i]
    data[x] = index(v, -scale, scale)
  }
  paint(canvas, {data, rows: 1, columns, kind: "signed"}, dark)
}

/** Call `again` when the page changes between light and dark, or the element its width. */
export function onLook(host, again) {
  let frame = 0
  const soon = () => {
    cancelAnimationFrame(frame)
    frame = requestAnimationFrame(again)
  }
  const size = new ResizeObserver(soon)
  size.observe(host)
  const off = onTheme(host, soon)
  return () => {
    size.disconnect()
    off()
    cancelAnimationFrame(frame)
  }
}
