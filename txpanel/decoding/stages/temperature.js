// All logits ÷ temperature; at 0 the largest alone stays.
export function scale({values, start, end}, temperature) {
  if (temperature === 0) return null
  const t = Math.fround(temperature)
  const out = new Float32Array(values.length)
  const first = values[start]
  const safe = Number.isFinite(Math.fround(first / t)) && Number.isFinite(Math.fround(values[end - 1] / t))
  for (let i = 0; i < values.length; i++) out[i] = (safe ? values[i] : Math.fround(values[i] - first)) / t
  return out
}

export const keep = ({start, end}, temperature) => ({start, end: temperature === 0 ? start + 1 : end})

export function path({x, value, out}, {number, plain}) {
  if (value === 0) return [out ? "not_largest" : "largest", {}]
  return ["divided", {x: number(x), t: plain(value), y: number(x / value)}]
}
