// Paragraphs of marked-up text. Everything arrives as [kind, text] pairs and is set as text, never as HTML.
import {h} from "./elements.js"

const KINDS = {
  "": null,
  b: "strong",
  i: "em",
  code: "code",
  token: "span",
  q: "span",
  k: "span",
  v: "span",
  m: "span",
  f: "span",
  muted: "span",
  good: "span",
  bad: "span",
}

// In a sentence the blanks before a token belong to it and would look like a gap: they are drawn.
const said = (kind, text) => (kind === "token" ? text.replace(/^ +/, (blanks) => "␣".repeat(blanks.length)) : text)

export const paragraphs = (list) =>
  list.map((paragraph) =>
    h(
      "p",
      null,
      paragraph.map(([kind, text]) => (KINDS[kind] ? h(KINDS[kind], {class: kind}, said(kind, text)) : text)),
    ),
  )

export function render({model, el}) {
  const root = h("div", {class: "rich"})
  el.append(root)
  const draw = () => {
    const parts = paragraphs(model.paragraphs)
    root.replaceChildren(...(model.heading ? [h(`h${model.level}`, null, model.heading)] : []), ...parts)
    root.className = `rich ${model.look}`
  }
  draw()
  model.on(["paragraphs", "heading", "look"], draw)
}
