// Of the hundred most likely tokens, those that together contribute at most a share of their entropy, and always the first. sums: contributions up to each
// token, in bits.
const MOST = 100

export function keep({p, start}, share) {
  const n = Math.min(MOST, p.length)
  let whole = 0
  for (let i = 0; i < n; i++) whole += p[i]
  const sums = new Float64Array(n)
  let sum = 0
  for (let i = 0; i < n; i++) {
    const q = p[i] / whole
    sums[i] = sum += q > 0 ? -q * Math.log2(q) : 0
  }
  const limit = sum * share
  let to = 1
  while (to < n && p[to] > 0 && sums[to] <= limit) to++
  return {start, end: start + to, sums, limit}
}

export function path({rank, before, stage, out}, {number}) {
  const place = rank - before.start
  if (place >= stage.sums.length) return ["behind", {n: MOST}]
  return [out ? "out" : "in", {sum: number(stage.sums[place], 4), limit: number(stage.limit, 4)}]
}
