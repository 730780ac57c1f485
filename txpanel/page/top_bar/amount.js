// How many tokens to generate, up to what this server allows.
import {h} from "../../toolkit/elements.js"

export function amountChooser(model) {
  const w = model.words
  const root = h(
    "select",
    {"aria-label": w.amount, title: w.amount},
    [1, 5, 10, 20, 30, 50, 100, 0].map((n) => h("option", {value: n, selected: n === 10}, n ? `+${n}` : w.until_end)),
  )
  const limit = () => {
    const most = model.info.limits?.new_tokens || Infinity
    for (const option of root.options) option.hidden = option.disabled = Number(option.value) > most
    if (Number(root.value) > most) root.value = [...root.options].findLast((option) => !option.disabled && option.value > 0).value
    root.title = Number.isFinite(most) ? `${w.amount}: ${w.amount_most.replace("{n}", most)}` : w.amount
  }
  return {root, limit}
}
