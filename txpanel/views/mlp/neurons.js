// The neurons with the largest output for a token: their numbers, the norm of the output, and the tokens that it promotes.
import {blanks, h} from "../../toolkit/elements.js"
import {grouped, number} from "../../toolkit/numbers.js"

export function render({model}) {
  const root = h("div", {class: "neuron-list"})
  const words = model.words

  const token = ([text, value, id], meaning) => {
    const shown = text.replace(/ /g, "␣") || "∅"
    return h(
      "button",
      {
        type: "button",
        class: `token ${meaning}`,
        title: `${text}  ${number(value)}: ${words.logit}`,
        "aria-label": `${shown}: ${words.logit}`,
        onclick: () => model.send_msg({token: id}),
      },
      text ? blanks(text) : shown,
    )
  }

  const lit = (neuron, part) => model.lights.some(([n, p]) => n === neuron && p === part)

  function row(n, most) {
    const on = n.neuron === model.chosen
    const ask = (part) => () => model.send_msg({neuron: n.neuron, part})
    const label = (part) => model.columns.find(([name]) => name === part)?.[1] ?? words[part]
    const value = (part, v) =>
      v == null
        ? h("span", {class: "num none"}, "–")
        : h(
            "button",
            {
              type: "button",
              class: lit(n.neuron, part) ? "num lit" : "num",
              title: `${label(part)}: ${words.why}`,
              "aria-label": `${words.neuron} ${n.neuron}, ${label(part)} ${number(v)}: ${words.why}`,
              onclick: ask(part),
            },
            number(v),
          )
    return h(
      "div",
      {class: on ? "line on" : "line", role: "row"},
      h(
        "span",
        {role: "cell"},
        h(
          "button",
          {type: "button", class: "name", "aria-pressed": String(on), "aria-label": `${words.neuron} ${n.neuron}`, onclick: ask("focus")},
          grouped(String(n.neuron)),
        ),
      ),
      ...model.columns.map(([part]) => h("span", {role: "cell", class: "right"}, value(part, n[part]))),
      h(
        "span",
        {role: "cell", class: "size"},
        h("i", {style: {width: `${(n.size / (most || 1)) * 60}%`}}),
        model.sizes ? value("size", n.size) : h("span", null, number(n.size)),
      ),
      h(
        "span",
        {role: "cell", class: "tokens"},
        h("span", {class: "muted narrow"}, words.promotes), // as the head of the column, where there is none
        n.promotes.map((t) => token(t, "up")),
        n.resists.length ? h("span", {class: "muted"}, words.not) : null,
        n.resists.map((t) => token(t, "down")),
      ),
    )
  }

  function build() {
    const had = root.getRootNode().activeElement?.getAttribute("aria-label")
    const most = Math.max(...model.neurons.map((n) => n.size), 0)
    const head = h(
      "div",
      {class: "line head", role: "row"},
      h("span", {role: "columnheader"}, words.neuron),
      ...model.columns.map(([, label]) => h("span", {role: "columnheader", class: "right"}, label)),
      h("span", {role: "columnheader"}, words.size),
      h("span", {role: "columnheader", class: "tokens"}, words.promotes),
    )
    const grid = h(
      "div",
      {class: "grid", role: "table", "aria-label": words.title, style: {"--columns": model.columns.length}},
      head,
      ...model.neurons.map((n) => row(n, most)),
    )
    root.replaceChildren(grid)
    if (had) [...root.querySelectorAll("button")].find((b) => b.getAttribute("aria-label") === had)?.focus({preventScroll: true})
  }

  build()
  model.on(["version", "lights"], () => requestAnimationFrame(build))
  return root
}
