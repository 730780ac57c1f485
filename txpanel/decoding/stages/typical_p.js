// The tokens whose surprisal is closest to the entropy, until together they reach `mass`. In a sorted row they are neighbours: two ends start where the
// surprisal passes the entropy, and the one that is closer to it moves on. limit: distance of the last token from the entropy, in nats.
export function keep({p, entropy, start}, mass) {
  const h = entropy * Math.LN2
  const distance = (i) => (i >= 0 && i < p.length ? Math.abs(-Math.log(p[i]) - h) : Infinity)
  const likeliest = Math.exp(-h)
  let right = 0
  while (right < p.length && p[right] > likeliest) right++
  let left = right // tokens from left to right - 1 are in
  let [before, after] = [distance(left - 1), distance(right)]
  let sum = 0
  let limit = 0
  while (left > 0 || right < p.length) {
    const down = right >= p.length || (left > 0 && before < after)
    const far = down ? before : after
    if (sum >= mass && far > limit) break // a token as far from the entropy as the last one still belongs to them
    sum += p[down ? left - 1 : right]
    if (down) before = distance(--left - 1)
    else after = distance(++right)
    limit = far
  }
  return {start: start + left, end: start + right, limit}
}

export function path({p, before, stage, out}, {number}) {
  const surprisal = -Math.log2(p)
  const far = Math.abs(surprisal - before.entropy)
  return [
    out ? "far" : "near",
    {s: number(surprisal, 4), h: number(before.entropy, 4), d: number(far, 4), limit: number(stage.limit / Math.LN2, 4)},
  ]
}
