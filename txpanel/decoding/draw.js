// The draw as numbers: cumulative probabilities, and the interval into which a number falls.

// The bounds of the intervals: one more than there are probabilities, the last one is 1
function boundsOf(p) {
  const at = new Float64Array(p.length + 1)
  for (let i = 0; i < p.length; i++) at[i + 1] = at[i] + p[i]
  const total = at[p.length] // by rounding not quite 1: set to 1 below, so that no number lies beyond the last interval
  for (let i = p.length; i >= 0 && at[i] >= total; i--) at[i] = 1
  return at
}

// Index of the interval that holds u: at[i] <= u < at[i + 1]
export function intervalAt(at, u) {
  let [low, high] = [0, at.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (at[middle] <= u) low = middle
    else high = middle
  }
  return low
}

export function draw(p, uniform, start) {
  const bounds = boundsOf(p)
  const i = intervalAt(bounds, uniform)
  return {uniform, bounds, low: bounds[i], high: bounds[i + 1], rank: start + i}
}
