// As transformers does it: adds up from the least likely token, and removes those that together have at most 1 - p.
export function keep({p, start}, share) {
  let tail = 0
  let n = p.length
  while (n > 1 && Math.fround(tail + p[n - 1]) <= Math.fround(1 - share)) tail += p[--n]
  return {start, end: start + n}
}

export function path({rank, before, value, out}, {percent}) {
  let sum = 0
  for (let i = 0; i < rank - before.start; i++) sum += before.p[i]
  return [out ? "reached" : "short", {sum: percent(sum, 3), share: percent(value, 3)}]
}
