// Numbers as txpanel/toolkit/format.py writes them.
export const grouped = (text) => {
  const [whole, rest] = text.split(".")
  const marked = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",")
  return rest === undefined ? marked : `${marked}.${rest}`
}

const scientific = (size, digits) => {
  const [mantissa, power] = size.toExponential(Math.max(0, digits - 1)).split("e")
  return `${mantissa}e${power.startsWith("-") ? "−" : ""}${power.replace(/[+-]/, "")}`
}

// The power of ten of a number that is rounded to so many digits: 0.99996 is 1.000, as 1.0004 is, not 1.0000.
const power = (size, digits) => Number(size.toExponential(Math.max(0, digits - 1)).split("e")[1])

export function number(value, digits = 4) {
  if (value == null || Number.isNaN(value)) return "–"
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞"
  if (Object.is(value, 0) || Object.is(value, -0)) return "0"
  const size = Math.abs(value)
  const sign = value < 0 ? "−" : ""
  if (Number.isInteger(value) && size < 1e15) return sign + grouped(String(size))
  if (size >= 1e6 || size < 1e-3) return sign + scientific(size, digits)
  const places = Math.max(0, digits - 1 - power(size, digits))
  return sign + grouped(size.toFixed(places))
}

export function percent(value, digits = 2) {
  if (value == null || Number.isNaN(value)) return "–"
  if (value === 0) return "0 %"
  if (value === 1) return "100 %"
  const part = value * 100
  if (part >= 99.95) {
    const missing = 100 - part
    if (missing < -1e-4) return `${part.toFixed(1)} %`
    if (missing < 1e-4) return value < 1 ? "> 99.9999 %" : "100 %"
    return `${part.toFixed(1 - Math.floor(Math.log10(missing)))} %`
  }
  if (part < 1e-3) return `${scientific(part, digits)} %`
  const places = part >= 1 ? 1 : Math.max(1, digits - 1 - power(part, digits))
  return `${part.toFixed(places)} %`
}
