// Two branches side by side: the tokens of each with their probabilities, and the distribution at which they split.

import {h} from "../../toolkit/elements.js"
import {grouped, number, percent} from "../../toolkit/numbers.js"
import {inkOn, tokenColour} from "./parts.js"

const SIDES = ["A", "B"]

function comparedSide(side, k, {w, mode, dark, current}) {
  const worth = ([, , p, bits]) => (mode === "probability" ? percent(p) : bits === null ? "∞" : number(bits, 2))
  const tokens = side.tokens.map(([text, special, p, bits], i) => {
    const colour = tokenColour([0, text, special, p, null, 0, bits], mode, dark)
    return h(
      "span",
      {class: `worth${i ? "" : " pick"}`},
      h("span", {class: `token${special ? " mark" : ""}`, style: {"--ground": colour, "--ink": inkOn(colour)}}, text),
      h("small", null, worth(side.tokens[i])),
    )
  })
  const each = number(side.logp / Math.max(1, side.n), 4) // with as many digits as the sum, which is the same number if there is one token
  return h(
    "div",
    {class: "side"},
    h(
      "h4",
      null,
      h("b", {class: `badge ${SIDES[k]}`}, SIDES[k]),
      current ? w.here : w.other,
      h(
        "span",
        {title: w.logp_title},
        w.own.replace("{tokens}", side.counted).replace("{value}", number(side.logp, 4)).replace("{each}", each),
      ),
    ),
    h("p", {class: "worths"}, tokens, side.more ? h("span", {class: "more"}, w.later.replace("{n}", side.more)) : ""),
    h("p", {class: "whole", title: w.logp_title}, w.whole.replace("{value}", number(side.all, 4))),
  )
}

// Rows are tokens, columns are distributions; the tokens of A and B are marked
function parting({choices, columns, rest, sides}, w) {
  const most = Math.max(...columns.flatMap((column) => column.p), 1e-9)
  const cell = (p) =>
    h("td", null, h("i", {style: {width: `${(p / most) * 100}%`}, "aria-hidden": "true"}), h("span", null, p > 0 ? percent(p) : w.cut))
  const badges = (token) => sides.map((side, k) => (side.token === token ? h("b", {class: `badge ${SIDES[k]}`}, SIDES[k]) : ""))
  return h(
    "table",
    {class: "parting"},
    h("caption", {class: "unseen"}, w.parting),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("td"),
        columns.map((column) => h("th", {scope: "col"}, column.title)),
      ),
    ),
    h(
      "tbody",
      null,
      choices.map(([token, text], i) =>
        h(
          "tr",
          {"data-token": token},
          h("th", {scope: "row"}, h("span", {class: "who"}, badges(token)), h("span", {class: "token"}, text)),
          columns.map((column) => cell(column.p[i])),
        ),
      ),
      h(
        "tr",
        {class: "others"},
        h("th", {scope: "row"}, h("span", {class: "who"}), w.rest.replace("{n}", grouped(String(rest)))),
        columns.map((column) => h("td", null, h("span", null, column.rest > 0 ? percent(column.rest) : w.cut))),
      ),
    ),
  )
}

export function branchComparison(data, look, close) {
  const {w} = look
  const title = h(
    "h3",
    null,
    w.compared,
    h("small", null, w.parting_after.replace("{tokens}", data.shared_counted), " ", h("q", null, data.before.join(""))),
    h("small", null, w.worths),
  )
  const settings = data.settings.length
    ? h(
        "table",
        {class: "differing"},
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            h("th", {scope: "col"}, w.settings),
            SIDES.map((name) => h("th", {scope: "col"}, h("b", {class: `badge ${name}`}, name))),
          ),
        ),
        h(
          "tbody",
          null,
          data.settings.map(([name, a, b]) => h("tr", null, h("th", {scope: "row"}, name), h("td", null, a), h("td", null, b))),
        ),
      )
    : h("p", null, data.same)
  return [
    h(
      "div",
      {class: "compared"},
      title,
      h("button", {type: "button", class: "icon small", title: w.close, "aria-label": w.close, onclick: close}, "×"),
    ),
    h(
      "div",
      {class: "pair"},
      data.sides.map((side, k) => comparedSide(side, k, {...look, current: k === 0})),
    ),
    h(
      "div",
      {class: "pair"},
      parting(data, w),
      h(
        "div",
        {class: "reasons"},
        data.why.map((text) => h("p", null, text)),
        settings,
      ),
    ),
  ]
}
