// The first k of the row, and those that tie with the last of them.
export function keep({values, start, end}, k) {
  if (k >= end - start) return {start, end}
  let n = start + k
  while (n < end && values[n] === values[start + k - 1]) n++
  return {start, end: n}
}

export const path = ({rank, value, out}, {grouped}) => [
  out ? "beyond" : "within",
  {rank: grouped(String(rank + 1)), k: grouped(String(value))},
]
