// The softmax, step by step, for the most likely tokens, those searched for, and all others together.
import {h} from "../../toolkit/elements.js"
import {grouped, number, percent} from "../../toolkit/numbers.js"

export function render({model, el}) {
  const table = h("table")
  const visible = (token) => (token.trim() ? token : token.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥") || "∅")
  const tip = h("div", {class: "scroll", tabindex: 0, role: "region"}, table)
  el.append(tip)

  const [OTHERS, ALL] = [-1, -2] // in place of a token's id
  const lit = (id, tensor) => (model.lights.some(([one, name]) => one === id && name === tensor) ? " lit" : "")
  const ask = (id, tensor, text) =>
    h("button", {type: "button", title: model.words.why, "data-cell": `${id} ${tensor}`, onclick: () => model.send_msg({id, tensor})}, text)
  const cell = (id, tensor, value, digits) =>
    h("td", {class: `n${lit(id, tensor)}`, "data-tensor": tensor, title: String(value)}, ask(id, tensor, number(value, digits)))
  const share = (id, p, top, kind = "") =>
    h(
      "td",
      {class: `p${lit(id, "probs")}`, "data-p": String(p), title: String(p)},
      h("span", {class: `bar${kind}`, "aria-hidden": "true"}, h("i", {style: {width: `${(p / top) * 100}%`}})),
      h("span", null, ask(id, "probs", percent(p))),
    )

  function line(row, top, w) {
    return h(
      "tr",
      {class: row.mark ? "mark" : null, "data-id": row.id},
      h("td", {class: "rank"}, grouped(String(row.rank + 1))),
      h("th", {scope: "row", class: "token", title: w.id.replace("{id}", grouped(String(row.id)))}, h("span", null, visible(row.token))),
      cell(row.id, "logits", row.logit, 5),
      cell(row.id, "probs.shifted", row.shifted, 4),
      cell(row.id, "probs.exp", row.power, 4),
      share(row.id, row.p, top),
    )
  }

  function draw() {
    const w = model.words
    const {max, sum} = model.total
    const held = table.getRootNode().activeElement?.dataset?.cell // the cell with the focus, to which the new table returns it
    if (!model.rows.length) return table.replaceChildren()
    tip.setAttribute("aria-label", w.caption)
    const others = model.others
    const top = Math.max(...model.rows.map((row) => row.p), others.p ?? 0)
    const head = (text, sub, kind) => h("th", {scope: "col", class: kind}, h("b", null, text), h("small", null, sub))
    const rest = others.label
      ? h(
          "tr",
          {class: "rest"},
          h("td", {class: "rank"}, ""),
          h("th", {scope: "row", class: "token"}, others.label),
          h("td", null, ""),
          h("td", null, ""),
          cell(OTHERS, "probs.exp", others.power, 4),
          share(OTHERS, others.p, top, " others"),
        )
      : null
    const foot = h(
      "tr",
      {class: "sum"},
      h("td", {class: "rank"}, ""),
      h("th", {scope: "row"}, w.all),
      h("td", null, ""),
      h("td", null, ""),
      cell(ALL, "probs.sum", sum, 5),
      h("td", {class: "p"}, h("span", {class: "bar"}), h("span", null, "100 %")),
    )
    table.replaceChildren(
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          head("#", "", "rank"),
          head(w.token, "", ""),
          head(w.logit, w.from_model, "n"),
          head(w.shifted, `− ${number(max, 5)}`, "n"),
          head(w.power, w.power_note, "n"),
          head(w.p, `÷ ${number(sum, 5)}`, "p"),
        ),
      ),
      h(
        "tbody",
        null,
        model.rows.map((row) => line(row, top, w)),
        rest,
      ),
      h("tfoot", null, foot),
    )
    if (held) table.querySelector(`[data-cell="${held}"]`)?.focus({preventScroll: true})
  }
  draw()
  model.on(["version", "lights"], draw)
}
