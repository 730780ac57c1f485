// The parts of a "why this number" card: its buttons, path, value, terms with their sum, and the numbers that are computed from this one.
// ctx is {model, send, copy}: the component's model, a function that sends a message to Python, one that copies a text to the clipboard.
import {h} from "../../toolkit/elements.js"

export const button = (cls, text, label, act, more) =>
  h("button", {class: cls, type: "button", "aria-label": label || null, title: label || null, onclick: act, ...more}, text)

export function tools({model, send, copy}, card, c) {
  const w = model.words
  const first = c === 0
  const exact = button("tool text", w.copy, w.copy_long, () => copy(card.exact, exact))
  return h(
    "div",
    {class: "tools"},
    first && [
      button("tool", "‹", w.back, () => send({do: "back"}), {disabled: !card.back}),
      button("tool", "›", w.forward, () => send({do: "forward"}), {disabled: !card.forward}),
    ],
    h("span", {class: "kicker"}, first ? w.title : w.pinned),
    h(
      "span",
      {class: "end"},
      exact,
      first
        ? [
            button("tool text", w.pin, w.pin_long, () => send({do: "pin"}), {disabled: !card.can_pin}),
            button("tool", "✕", w.close, () => send({do: "close"})),
          ]
        : button("tool text", w.unpin, w.unpin_long, () => send({do: "unpin", at: c - 1})),
    ),
  )
}

export function crumbs({model, send}, card, c) {
  const last = card.crumbs.length - 1
  return h(
    "nav",
    {class: "crumbs", "aria-label": model.words.path},
    card.crumbs.map((crumb, i) => [
      i > 0 && h("span", {class: "sep"}, "›"),
      i === last
        ? h("b", {"aria-current": true}, crumb.label)
        : button("link", crumb.label, crumb.title, () => send({do: "crumb", card: c, steps: last - i})),
    ]),
  )
}

export function head(card) {
  const {check} = card
  return h(
    "div",
    {class: "head"},
    h(
      "div",
      {class: "where"},
      card.title ? h("b", {class: "called"}, card.title) : h("code", null, card.name),
      card.block ? h("span", {class: "chip of-block"}, card.block) : null,
      card.index.map(([dim, label, at, text]) =>
        h(
          "span",
          {class: `chip ${dim}`},
          h("span", null, label),
          text ? h("b", {class: "token"}, text) : null,
          h(text ? "small" : "b", null, at),
        ),
      ),
    ),
    h("code", {class: "cell"}, card.code),
    h(
      "div",
      {class: "number"},
      h("strong", null, card.say),
      check ? h("span", {class: check.ok ? "check" : "check bad", title: check.title}, `${check.ok ? "✓" : "✗"} ${check.label}`) : null,
    ),
  )
}

/** Attributes that tell the pictures which cell a term is, while it has the pointer or the focus, so that they mark that cell. */
function pointing({name, at}) {
  const say = (detail) => () => window.dispatchEvent(new CustomEvent("tx-point", {detail}))
  const [on, off] = [say({name, at}), say(null)]
  return {onmouseenter: on, onfocus: on, onmouseleave: off, onblur: off}
}

function termRow({model, send}, term, c, most, more) {
  const {sources} = term
  const source = (s, j, text) =>
    button("link", text, `${model.words.why} ${s.title}: ${text}`, () => send({do: "ask", card: c, term: term.at, source: j}), pointing(s))
  const size = Math.min(1, Math.abs(term.value) / (most || 1)) * 50
  const negative = term.value < 0
  return h(
    "li",
    {class: more ? "term rest" : "term"},
    h(
      "span",
      {class: "what"},
      sources.length === 1 ? source(sources[0], 0, term.label) : h("span", {class: "plain"}, term.label),
      sources.length > 1
        ? h(
            "span",
            {class: "factors"},
            sources.map((s, j) => [j > 0 && h("span", {class: "times"}, s.joint || "·"), source(s, j, s.say)]),
          )
        : null,
      more,
    ),
    h("span", {class: "bar"}, h("i", {class: negative ? "neg" : "pos", style: {width: `${size}%`, [negative ? "right" : "left"]: "50%"}})),
    h("span", {class: "num"}, term.say),
  )
}

export function operands(ctx, card, c) {
  if (!card.terms.length) return []
  const w = ctx.model.words
  const {rest} = card
  const most = Math.max(...card.terms.map((t) => Math.abs(t.value)), rest ? Math.abs(rest.value) : 0)
  const more = () => button("link more", rest.more, null, () => ctx.send({do: "more", card: c}))
  return [
    h("div", {class: "cols"}, h("span", null, w.operand), h("span", {class: "num"}, w.value)),
    h(
      "ul",
      {class: "terms"},
      card.terms.map((t) => termRow(ctx, t, c, most)),
      rest ? termRow(ctx, {label: rest.label, value: rest.value, say: rest.say, sources: [], at: -1}, c, most, more()) : null,
    ),
    h(
      "div",
      {class: "sum"},
      card.totals.map(([label, value]) => h("div", {class: "total"}, h("span", null, label), h("b", {class: "num"}, value))),
    ),
  ]
}

/** A number from a part that is not opened: its module, the inputs, and whether calling the module again gives the same number. */
export function closed({model, send}, card, c) {
  const {said, again, inputs} = card.closed
  const source = (one, i) =>
    button("link chip", one.label, `${model.words.why} ${one.title}`, () => send({do: "input", card: c, at: i}), pointing(one))
  return h(
    "div",
    {class: "closed"},
    said.map((text) => h("p", null, text)),
    inputs.length ? h("div", {class: "from"}, h("span", null, model.words.made_from), inputs.map(source)) : null,
    again ? h("p", {class: "again"}, again) : null,
  )
}

/** The numbers that this one is a term of; slot remembers whether they are shown. */
export function feeds({model, send}, card, c, slot) {
  if (!card.feeds.length) return []
  const chip = (f, i) => button("link chip", f.label, f.title, () => send({do: "feed", card: c, at: i}))
  const open = () => {
    slot.fed = box.open
  }
  const box = h(
    "details",
    {class: "feeds", open: slot.fed, ontoggle: open},
    h("summary", null, model.words.feeds),
    h("div", {class: "chips"}, card.feeds.map(chip)),
  )
  return [box]
}
