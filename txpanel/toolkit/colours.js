// Numbers as colours: the colour maps of txpanel/toolkit/palette.py.
import { RAMPS } from "./palette.js"

const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
const gamma = (c) => (c <= 0.0031308 ? c * 12.92 : 1.055 * c ** (1 / 2.4) - 0.055)
const times = (m, v) => m.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
const oklab = (hex) => {
  const rgb = [1, 3, 5].map((i) => linear(parseInt(hex.slice(i, i + 2), 16) / 255))
  return times(RAMPS.toLab, times(RAMPS.toLms, rgb).map(Math.cbrt))
}
const rgb = (lab) => {
  const lin = times(RAMPS.fromLms, times(RAMPS.fromLab, lab).map((c) => c ** 3))
  return lin.map((c) => Math.floor(gamma(Math.min(1, Math.max(0, c))) * 255 + 0.5))
}
const tables = {}
// 256 x 3 bytes, the same colours as palette.ramp(kind, dark)
export function lut(kind, dark) {
  const key = `${kind}/${dark ? 1 : 0}`
  if (tables[key]) return tables[key]
  const stops = RAMPS.stops[kind][dark ? 1 : 0].map(oklab)
  const legs = stops.slice(1).map((stop, i) => Math.hypot(...stop.map((c, axis) => c - stops[i][axis])))
  const total = legs.reduce((a, b) => a + b, 0)
  let at = 0
  const places = kind === "signed" ? [0, 0.5, 1] : [0, ...legs.map((leg) => (at += leg) / total)]
  const table = new Uint8ClampedArray(256 * 3)
  for (let i = 0; i < 256; i++) {
    const x = i / 255
    let leg = 0
    while (leg < places.length - 2 && x > places[leg + 1]) leg++
    const part = (x - places[leg]) / (places[leg + 1] - places[leg])
    table.set(rgb(stops[leg].map((c, axis) => c + part * (stops[leg + 1][axis] - c))), i * 3)
  }
  return (tables[key] = table)
}
// Position 0..255 of a number on a scale from low to high, as palette.Scale.index
export const index = (value, low, high) => Math.floor(Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * 255 + 0.5)
export function rampColour(kind, value, low, high, dark) {
  const table = lut(kind, dark)
  const i = index(value, low, high) * 3
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`
}


// A canvas of one byte per cell through a colour map: what = {data: Uint8Array, rows, columns, kind}
export function paint(canvas, what, dark) {
  const table = lut(what.kind, dark)
  canvas.width = what.columns
  canvas.height = what.rows
  const image = new ImageData(what.columns, what.rows)
  for (let i = 0; i < what.data.length; i++) {
    const from = what.data[i] * 3
    image.data.set([table[from], table[from + 1], table[from + 2], what.mask && !what.mask[i] ? 0 : 255], i * 4)
  }
  canvas.getContext("2d").putImageData(image, 0, 0)
}
