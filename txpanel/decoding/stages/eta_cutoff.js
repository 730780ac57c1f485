// Tokens at least as likely as the limit, and always those as likely as the most likely one.
export function keep({p, values, start, entropy}, epsilon) {
  const limit = Math.fround(Math.min(epsilon, Math.sqrt(epsilon) * Math.exp(-entropy * Math.LN2)))
  let n = p.length
  while (n > 1 && Math.fround(p[n - 1]) < limit && values[start + n - 1] < values[start]) n--
  return {start, end: start + n, limit}
}

export const path = ({p, before, stage, out}, {number, percent}) => [
  out ? "less" : p < stage.limit ? "first" : "enough",
  {p: percent(p, 3), limit: percent(stage.limit, 3), h: number(before.entropy, 4)},
]
