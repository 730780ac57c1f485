// What if, as numbers: other seeds, other temperatures.
import {intervalAt} from "../../decoding/draw.js"

// How often each interval is hit by many numbers: Map of rank -> {count, seed: the first seed that hits it}
export function tally(shown, uniforms) {
  const found = new Map()
  uniforms.forEach((u, seed) => {
    const rank = shown.last.start + intervalAt(shown.draw.bounds, u)
    const one = found.get(rank)
    if (one) one.count++
    else found.set(rank, {count: 1, seed})
  })
  return found
}

// The logits that temperatures are applied to: those after the stages that look back at the text
export const untempered = (reordered) => reordered.stages[reordered.stages.length - 1]

// The sum of exponentials over the vocabulary at each temperature, as many as can be computed in so many milliseconds; true once all are there
export function summed(reordered, temperatures, milliseconds) {
  const {values, end} = untempered(reordered)
  reordered.sums ??= []
  const {sums} = reordered
  for (const until = performance.now() + milliseconds; sums.length < temperatures.length; ) {
    const t = temperatures[sums.length]
    let sum = 0
    for (let i = 0; i < end; i++) {
      const one = Math.exp((values[i] - values[0]) / t)
      sum += one
      if (one * (end - i) < 1e-9) break // all that follow are smaller: they add less than the curve's width
    }
    sums.push(sum)
    if (performance.now() > until) break
  }
  return sums.length === temperatures.length
}

// Probability of the tokens at some ranks for each temperature: what temperature alone does, before anything is cut off
export function sweep(reordered, ranks, temperatures) {
  const {values} = untempered(reordered)
  return temperatures.map((t, i) => ranks.map((rank) => Math.exp((values[rank] - values[0]) / t) / reordered.sums[i]))
}
