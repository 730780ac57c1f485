// Each token of the text: its logit ÷ penalty, × penalty if it is negative.
export function change(logits, ids, penalty) {
  const r = Math.fround(penalty)
  const found = new Map()
  for (const id of ids) if (id < logits.length) found.set(id, Math.fround(logits[id] < 0 ? logits[id] * r : logits[id] / r))
  return found
}

export function path({id, ids, x, y, value}, {number, plain}) {
  if (!ids.includes(id)) return ["new", {x: number(x)}]
  return [x < 0 ? "times" : "over", {x: number(x), r: plain(value), y: number(y)}]
}
