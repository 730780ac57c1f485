// Two branches side by side: the tokens of each with what the model gave them, and the distribution at which they part.
const FILM_SIDES = ["A", "B"]

function filmSide(side, k, {w, mode, dark, current}) {
  const worth = ([, , p, bits]) => (mode === "probability" ? tx.percent(p) : bits === null ? "∞" : tx.number(bits, 2))
  const tokens = side.tokens.map(([text, special, p, bits], i) => {
    const colour = filmColour([0, text, special, p, null, 0, bits], mode, dark)
    return tx.h("span", {class: `worth${i ? "" : " pick"}`}, tx.h("span", {class: `token${special ? " mark" : ""}`, style: {"--ground": colour, "--ink": filmInk(colour)}}, text), tx.h("small", null, worth(side.tokens[i])))
  })
  const each = tx.number(side.logp / Math.max(1, side.n), 3)
  return tx.h("div", {class: "side"},
    tx.h("h4", null, tx.h("b", {class: `badge ${FILM_SIDES[k]}`}, FILM_SIDES[k]), current ? w.here : w.other,
      tx.h("span", {title: w.logp_title}, w.own.replace("{tokens}", side.counted).replace("{value}", tx.number(side.logp, 4)).replace("{each}", each))),
    tx.h("p", {class: "worths"}, tokens, side.more ? tx.h("span", {class: "more"}, w.later.replace("{n}", side.more)) : ""),
    tx.h("p", {class: "whole", title: w.logp_title}, w.whole.replace("{value}", tx.number(side.all, 4))))
}

// Rows are tokens, columns are distributions; what A and B took is marked
function filmParting({choices, columns, rest, sides}, w) {
  const most = Math.max(...columns.flatMap((column) => column.p), 1e-9)
  const cell = (p) => tx.h("td", null, tx.h("i", {style: {width: `${(p / most) * 100}%`}, "aria-hidden": "true"}), tx.h("span", null, p > 0 ? tx.percent(p) : w.cut))
  const badges = (token) => sides.map((side, k) => (side.token === token ? tx.h("b", {class: `badge ${FILM_SIDES[k]}`}, FILM_SIDES[k]) : ""))
  return tx.h("table", {class: "parting"},
    tx.h("caption", {class: "unseen"}, w.parting),
    tx.h("thead", null, tx.h("tr", null, tx.h("td"), columns.map((column) => tx.h("th", {scope: "col"}, column.title)))),
    tx.h("tbody", null, choices.map(([token, text], i) => tx.h("tr", {"data-token": token}, tx.h("th", {scope: "row"}, tx.h("span", {class: "who"}, badges(token)), tx.h("span", {class: "token"}, text)), columns.map((column) => cell(column.p[i])))),
      tx.h("tr", {class: "others"}, tx.h("th", {scope: "row"}, tx.h("span", {class: "who"}), w.rest.replace("{n}", tx.grouped(String(rest)))), columns.map((column) => tx.h("td", null, tx.h("span", null, tx.percent(column.rest)))))))
}

function filmCompare(data, look, close) {
  const {w} = look
  const title = tx.h("h3", null, w.compared, tx.h("small", null, w.parting_after.replace("{tokens}", data.shared_counted), " ", tx.h("q", null, data.before.join(""))))
  const settings = data.settings.length
    ? tx.h("table", {class: "knobs"}, tx.h("thead", null, tx.h("tr", null, tx.h("th", {scope: "col"}, w.settings), FILM_SIDES.map((name) => tx.h("th", {scope: "col"}, tx.h("b", {class: `badge ${name}`}, name))))),
      tx.h("tbody", null, data.settings.map(([name, a, b]) => tx.h("tr", null, tx.h("th", {scope: "row"}, name), tx.h("td", null, a), tx.h("td", null, b)))))
    : tx.h("p", null, w.settings_same)
  return [
    tx.h("div", {class: "compared"}, title, tx.h("button", {type: "button", class: "icon small", title: w.close, "aria-label": w.close, onclick: close}, "×")),
    tx.h("div", {class: "pair"}, data.sides.map((side, k) => filmSide(side, k, {...look, current: k === 0}))),
    tx.h("div", {class: "pair"}, filmParting(data, w), tx.h("div", {class: "reasons"}, data.why.map((text) => tx.h("p", null, text)), settings)),
  ]
}
