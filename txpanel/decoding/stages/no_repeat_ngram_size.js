// The tokens that would complete an n-gram of the text again: Map of id -> index at which that n-gram begins
function repeats(ids, n) {
  const found = new Map()
  const last = ids.length >= n ? ids.length - n : -1
  const prefix = ids.slice(ids.length + 1 - n)
  for (let at = 0; at <= last; at++) if (prefix.every((id, i) => ids[at + i] === id)) found.set(ids[at + n - 1], at)
  return found
}

export function change(logits, ids, n) {
  const found = new Map()
  for (const id of repeats(ids, n).keys()) if (id < logits.length) found.set(id, -Infinity)
  return found
}

export function path({id, ids, names, value, out}) {
  if (!out) return ["new", {n: value}]
  const at = repeats(ids, value).get(id)
  return [
    "repeats",
    {
      gram: names
        .slice(at, at + value)
        .join("")
        .replace(/^ /, "␣"),
    },
  ]
}
