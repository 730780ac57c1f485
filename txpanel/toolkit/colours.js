// Numbers as colours: the colour maps of txpanel/toolkit/palette.py.
import {RAMPS} from "./palette.js"

const tables = {}

// 256 x 3 bytes, the colours of palette.ramp(kind, dark)
export function lut(kind, dark) {
  const key = `${kind}/${dark ? 1 : 0}`
  tables[key] ??= Uint8ClampedArray.from(atob(RAMPS[kind][dark ? 1 : 0]), (byte) => byte.charCodeAt(0))
  return tables[key]
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
