// Tokens whose probability is at least this share of the largest one.
export function keep({p, start}, share) {
  let n = p.length
  while (n > 1 && Math.fround(p[n - 1]) < Math.fround(share * Math.fround(p[0]))) n--
  return {start, end: start + n}
}

export const path = ({p, before, value, out}, {percent, plain}) => [
  out ? "less" : "enough",
  {p: percent(p, 3), m: plain(value), top: percent(before.p[0], 3), limit: percent(value * before.p[0], 3)},
]
