// The tree of a beam search. A column is a step, its rows are the continuations that were considered, best on top. Arrow keys move in it.
import {h, s} from "../../toolkit/elements.js"
import {number, percent} from "../../toolkit/numbers.js"

const ROW = 27
const HIGH = 21 // height of a token's box
const GAP = 30 // between two columns, for the lines
const TOP = 22

export function render({model, el}) {
  const w = model.words
  let chosen = -1
  let column = 122 // width of a step, as wide as there is room
  let nodes = [] // {id, parent, step, row, name, chance, score, state, until}

  // --- what is asked for ----------------------------------------------------------------------------------------------
  const select = (label, values, value) =>
    h(
      "select",
      {"aria-label": label},
      values.map((v) => h("option", {value: v, selected: v === value}, String(v))),
    )
  const beams = select(w.beams, [2, 3, 4, 5, 6], 3)
  const tokens = select(w.tokens, [3, 4, 6, 8, 10, 12, 16], 6)
  const penalty = h("input", {type: "number", step: 0.5, min: -5, max: 5, value: 1, "aria-label": w.penalty})
  const titles = [
    [beams, w.beams_title, "beams"],
    [tokens, "", "tokens"],
  ]
  const limit = () => {
    for (const [control, title, key] of titles) {
      const most = model.most[key] || Infinity
      const values = [...control.options]
      for (const option of values) option.hidden = option.disabled = Number(option.value) > most
      if (Number(control.value) > most) control.value = values.findLast((option) => !option.disabled)?.value ?? values[0].value
      const less = values.some((option) => option.disabled)
      control.title = [title, less ? w.most.replace("{n}", most) : ""].filter(Boolean).join("; ")
    }
  }
  const go = h("button", {
    type: "button",
    class: "go",
    onclick: () =>
      model.status.busy
        ? model.send_msg({kind: "stop"})
        : model.send_msg({kind: "search", beams: Number(beams.value), tokens: Number(tokens.value), penalty: Number(penalty.value)}),
  })
  const field = (text, control, title) => h("label", {title}, h("span", null, text), control)
  const told = h("span", {class: "told", role: "status"})
  const asks = h(
    "div",
    {class: "asks"},
    field(w.beams, beams, w.beams_title),
    field(w.tokens, tokens),
    field(w.penalty, penalty, w.penalty_title),
    go,
    told,
  )

  // --- the picture ----------------------------------------------------------------------------------------------------
  const scroll = h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": w.picture, onkeydown: walk})
  const legend = h(
    "p",
    {class: "legend"},
    ["best", "kept", "dropped", "ended"].map((kind) => h("span", {class: kind}, h("i", {"aria-hidden": "true"}), w[`is_${kind}`])),
  )
  const sentence = h("p", {class: "sentence", role: "status"})
  const take = h(
    "button",
    {type: "button", class: "take", title: w.take_title, onclick: () => model.send_msg({kind: "take", node: chosen})},
    w.take,
  )
  const results = h("ol", {class: "results"})
  const ground = h("div", {class: "found"}, scroll, legend, h("div", {class: "chosen"}, sentence, take), h("h4", null, w.results), results)
  el.append(h("div", {class: "beams"}, asks, ground))

  let wide = 0
  new ResizeObserver(() => {
    if (nodes.length && Math.abs(scroll.clientWidth - wide) > 1) paint()
  }).observe(scroll)

  const path = (id) => (id < 0 ? [] : [...path(nodes[id].parent), nodes[id]])
  const at = (node) => ({x: node.step * column + 4, y: node.row * ROW + TOP})

  function read() {
    const rows = []
    nodes = (model.tree.nodes ?? []).map(([parent, step, name, chance, score, state, until], id) => {
      rows[step] = (rows[step] ?? -1) + 1
      return {id, parent, step, name, chance, score, state, until, row: rows[step]}
    })
  }

  function paint() {
    ground.hidden = !nodes.length
    if (!nodes.length) return scroll.replaceChildren()
    wide = scroll.clientWidth
    const best = new Set(path(model.tree.hypotheses[0]?.node ?? -1).map((node) => node.id))
    const mine = new Set(path(chosen).map((node) => node.id))
    const steps = Math.max(...nodes.map((node) => node.step)) + 1
    const rows = Math.max(...nodes.map((node) => node.row)) + 1
    column = Math.floor(Math.min(176, Math.max(122, scroll.clientWidth / steps)))
    const room = Math.floor((column - GAP - 48) / 6.4) + 2
    const kind = (node) =>
      `${node.state}${best.has(node.id) ? " best" : ""}${mine.has(node.id) ? " mine" : ""}${node.id === chosen ? " chosen" : ""}`
    const edge = (node) => {
      if (node.parent < 0) return null
      const [a, b] = [at(nodes[node.parent]), at(node)]
      const [x1, y1, x2, y2] = [a.x + column - GAP, a.y + HIGH / 2, b.x, b.y + HIGH / 2]
      return s("path", {class: kind(node), d: `M${x1} ${y1}C${x1 + 16} ${y1} ${x2 - 16} ${y2} ${x2} ${y2}`})
    }
    const order = [...nodes].sort(
      (a, b) => best.has(a.id) + mine.has(a.id) - best.has(b.id) - mine.has(b.id) || (a.state !== "dropped") - (b.state !== "dropped"),
    )
    const pill = (node) => {
      const {x, y} = at(node)
      const name = node.name.trim() || node.name
      return s(
        "g",
        {class: `node ${kind(node)}`, transform: `translate(${x},${y})`, onclick: () => choose(node.id)},
        s("title", null, `${node.name}: ${percent(Math.exp(node.chance), 3)}, Σ log p = ${number(node.score, 4)}`),
        s("rect", {width: column - GAP, height: HIGH, rx: 6}),
        s("text", {x: 7, y: 14.5}, name.length > room ? `${name.slice(0, room - 1)}…` : name),
        s(
          "text",
          {class: "p", x: column - GAP - 6, y: 14.5, "text-anchor": "end"},
          percent(Math.exp(node.chance), 1).replace(".0", "").replace(" %", "%"),
        ),
      )
    }
    const heads = Array.from({length: steps}, (_x, step) =>
      s("text", {class: "tick", x: step * column + 4, y: 12}, w.step.replace("{i}", String(step + 1))),
    )
    const width = steps * column
    const line = s("line", {class: "cut", x1: 0, x2: width, y1: model.tree.beams * ROW + TOP - 3, y2: model.tree.beams * ROW + TOP - 3})
    scroll.replaceChildren(
      s("svg", {width, height: rows * ROW + TOP, role: "img", "aria-label": w.picture}, line, heads, order.map(edge), nodes.map(pill)),
    )
  }

  // --- one continuation in words ----------------------------------------------------------------------------------------
  const put = (text, values) => text.split(/(\{\w+\})/).map((part) => values[part] ?? part)
  function say() {
    const node = nodes[chosen]
    take.hidden = !node
    if (!node) return sentence.replaceChildren(w.choose)
    const way = path(chosen)
    const {penalty: power} = model.tree
    const text = h("b", {class: "token"}, way.map((one) => one.name).join(""))
    const sum = way
      .map((one) => number(one.chance, 3))
      .join(" + ")
      .replaceAll("+ −", "− ")
    const fate =
      node.state === "ended"
        ? put(w.fate_ended, {"{score}": number(node.score / way.length ** power, 5), "{n}": String(way.length), "{penalty}": String(power)})
        : node.state === "dropped"
          ? put(w.fate_dropped, {"{row}": String(node.row + 1), "{beams}": String(model.tree.beams)})
          : node.until > node.step
            ? put(w.fate_lived, {"{step}": String(node.until + 1)})
            : put(w.fate_died, {"{step}": String(node.step + 2)})
    sentence.replaceChildren(text, ": ", put(w.sum, {"{sum}": sum, "{score}": number(node.score, 5)}).join(""), " ", ...fate)
  }

  function choose(id) {
    chosen = id
    paint()
    say()
    press()
  }

  function walk(event) {
    const node = nodes[chosen] ?? nodes[0]
    const find = (step, row) => nodes.find((one) => one.step === step && one.row === row)
    const child = () => nodes.find((one) => one.parent === node.id)
    const next = {
      ArrowUp: () => find(node.step, node.row - 1),
      ArrowDown: () => find(node.step, node.row + 1),
      ArrowLeft: () => nodes[node.parent],
      ArrowRight: child,
      Home: () => nodes[0],
    }[event.key]
    if (!next || !node) return
    event.preventDefault()
    const to = chosen < 0 ? node : next()
    if (!to) return
    choose(to.id)
    const {x} = at(to)
    if (x < scroll.scrollLeft || x + column > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = x - 40
  }

  function list() {
    results.replaceChildren(
      ...(model.tree.hypotheses ?? []).map(({name, score, node}) =>
        h(
          "li",
          null,
          h("button", {type: "button", "data-node": node, onclick: () => choose(node)}, h("span", {class: "token"}, name)),
          h("span", {class: "score"}, number(score, 5)),
        ),
      ),
    )
    press()
  }
  const press = () => {
    for (const button of results.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(Number(button.dataset.node) === chosen))
  }

  function status() {
    const {busy, text} = model.status
    go.textContent = busy ? w.stop : w.search
    go.classList.toggle("busy", Boolean(busy))
    told.textContent = text ?? ""
    for (const control of [beams, tokens, penalty]) control.disabled = Boolean(busy)
  }

  function load() {
    read()
    choose(model.tree.hypotheses?.[0]?.node ?? -1)
    list()
  }
  model.on("most", limit)
  limit()
  model.on("tree", load)
  model.on("status", status)
  load()
  status()
}
