// Small tools that every part of the flow uses: numbers, easing, words.
import {quoted as withBlanks} from "../../toolkit/elements.js"

export const clamp = (x, a, b) => Math.max(a, Math.min(b, x))
export const lerp = (a, b, t) => a + (b - a) * t
export const easeOut = (t) => 1 - (1 - t) ** 3
export const easeInOut = (t) => (t < 0.5 ? 4 * t * t * t : 1 - (2 - 2 * t) ** 3 / 2)

// Fill {name} places of a translated sentence.
export const fill = (text, values = {}) => text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? values[key] : whole))

const grouped = new Intl.NumberFormat("en-US") // made once: toLocaleString makes one for each number
export const integer = (x) => grouped.format(Math.round(x))

// Written as everywhere else on the page.
export {number, percent} from "../../toolkit/numbers.js"

// A weight inside a small circle: ".88", "1" only if it is 1, "<.01" instead of a false zero.
export function weight(p) {
  if (p === 0) return "0"
  if (p < 0.005) return "<.01"
  if (p >= 0.995) return p > 0.9999995 ? "1" : ">.99"
  return p.toFixed(2).slice(1)
}

// The same where a cell is too narrow for that: never a false 0 or 1.
export const narrow = (p) => ({"<.01": "≈0", ">.99": "≈1"})[weight(p)] ?? weight(p)

// Row i of a flat [n, width] array.
export const row = (a, i, width) => a.subarray(i * width, (i + 1) * width)

// A token's text on one line: line breaks and tabs are drawn as signs, nothing else is changed.
const oneLine = (token) => token.replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/\r/g, "␍")

export function shown(token) {
  const bare = oneLine(token)
  if (bare.trim() === "") return bare === "" ? "∅" : "␣".repeat(Math.min(bare.length, 6))
  return bare.replace(/^ /, "")
}

// The same between quotation marks: leading blanks are drawn, as everywhere on the page.
export const quoted = (token) => (token.trim() === "" ? shown(token) : withBlanks(oneLine(token)))

export function ellipsis(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text
  let cut = text
  while (cut.length > 1 && ctx.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1)
  return `${cut}…`
}
