// Tokens at least so likely, and always those as likely as the most likely one.
export function keep({p, values, start}, least) {
  let n = p.length
  while (n > 1 && Math.fround(p[n - 1]) < least && values[start + n - 1] < values[start]) n--
  return {start, end: start + n}
}

export const path = ({p, value, out}, {percent}) => [
  out ? "less" : p < value ? "first" : "enough",
  {p: percent(p, 3), limit: percent(value, 3)},
]
