// Logits at most n standard deviations below the largest: of all that are left, the sample's (divided by one less than their number).
export function keep({values, start, end}, n) {
  const size = end - start
  const max = values[start]
  let [sum, squares] = [0, 0]
  for (let i = start; i < end; i++) sum += values[i]
  const mean = sum / size
  for (let i = start; i < end; i++) squares += (values[i] - mean) ** 2
  const sigma = size > 1 ? Math.sqrt(squares / (size - 1)) : 0
  const limit = max - n * sigma
  let to = end
  while (to > start + 1 && values[to - 1] < limit) to--
  return {start, end: to, sigma, limit}
}

export const path = ({x, before, stage, value, out}, {number, plain}) => [
  out ? "far" : "near",
  {x: number(x), max: number(before.values[before.start]), n: plain(value), sigma: number(stage.sigma), limit: number(stage.limit)},
]
