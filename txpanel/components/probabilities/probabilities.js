// The softmax, step by step, for the likeliest tokens, those searched for, and all others together.
export function render({model, el}) {
  const {h, number, percent, grouped} = tx
  const table = h("table")
  const visible = (token) => (token.trim() ? token : token.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥") || "∅")
  const tip = h("div", {class: "scroll", tabindex: 0, role: "region"}, table)
  el.append(tip)

  function line(row, top, w) {
    const lit = (tensor) => (model.lights.some(([id, name]) => id === row.id && name === tensor) ? " lit" : "")
    const ask = (tensor, text) => h("button", {type: "button", title: w.why, onclick: () => model.send_msg({id: row.id, tensor})}, text)
    const cell = (value, digits) => h("td", {class: "n", title: String(value)}, number(value, digits))
    return h("tr", {class: row.mark ? "mark" : null, "data-id": row.id},
      h("td", {class: "rank"}, grouped(String(row.rank + 1))),
      h("th", {scope: "row", class: "token", title: w.id.replace("{id}", grouped(String(row.id)))}, h("span", null, visible(row.token))),
      h("td", {class: `n logit${lit("logits")}`, title: String(row.logit)}, ask("logits", number(row.logit, 5))), cell(row.shifted, 4), cell(row.power, 4),
      h("td", {class: `p${lit("probs")}`, "data-p": String(row.p), title: String(row.p)}, h("span", {class: "bar", "aria-hidden": "true"}, h("i", {style: {width: `${(row.p / top) * 100}%`}})), h("span", null, ask("probs", percent(row.p)))))
  }

  function draw() {
    const w = model.words
    const {max, sum} = model.total
    if (!model.rows.length) return table.replaceChildren()
    tip.setAttribute("aria-label", w.caption)
    const others = model.others
    const top = Math.max(...model.rows.map((row) => row.p), others.p ?? 0)
    const head = (text, sub, kind) => h("th", {scope: "col", class: kind}, h("b", null, text), h("small", null, sub))
    const rest = others.label ? h("tr", {class: "rest"}, h("td", {class: "rank"}, ""), h("th", {scope: "row", class: "token"}, others.label), h("td", null, ""), h("td", null, ""),
      h("td", {class: "n", title: String(others.power)}, number(others.power, 4)),
      h("td", {class: "p", "data-p": String(others.p), title: String(others.p)}, h("span", {class: "bar others", "aria-hidden": "true"}, h("i", {style: {width: `${(others.p / top) * 100}%`}})), h("span", null, percent(others.p)))) : null
    const foot = h("tr", {class: "sum"}, h("td", {class: "rank"}, ""), h("th", {scope: "row"}, w.all), h("td", null, ""), h("td", null, ""), h("td", {class: "n", title: String(sum)}, number(sum, 5)), h("td", {class: "p"}, h("span", {class: "bar"}), h("span", null, "100 %")))
    table.replaceChildren(
      h("thead", null, h("tr", null, head("#", "", "rank"), head(w.token, "", ""), head(w.logit, w.from_model, "n"), head(w.shifted, `− ${number(max, 5)}`, "n"),
        head(w.power, w.power_note, "n"), head(w.p, `÷ ${number(sum, 5)}`, "p"))),
      h("tbody", null, model.rows.map((row) => line(row, top, w)), rest), h("tfoot", null, foot))
  }
  draw()
  model.on(["version", "lights"], draw)
}
