// The tokenizer's pieces: text with its boundaries, the id, the bytes. A click chooses the token.
import {blanks, h} from "../../toolkit/elements.js"
import {grouped} from "../../toolkit/numbers.js"

export function render({model}) {
  const root = h("div", {class: "piece-row", role: "listbox", "aria-label": model.words.label})
  const body = h("div")
  body.append(root)
  let at = 0

  const choose = (i) => model.send_msg({at: i})

  const ofWhat = ([text, i, n]) =>
    model.words.of
      .replace("{i}", i)
      .replace("{n}", n)
      .replace("{text}", () => text)

  function piece(p) {
    const on = p.at === model.chosen
    const unseen = (text) => h("span", {class: "unseen"}, text) // for screen readers only: words between the values that are shown
    return h(
      "div",
      {
        class: `${on ? "piece on" : "piece"}${p.of ? " byte" : ""}${p.of?.[1] > 1 ? " more" : ""}`,
        role: "option",
        "aria-selected": String(on),
        tabindex: on ? 0 : -1,
        "data-at": p.at,
        onclick: () => choose(p.at),
      },
      unseen(`${model.words.token} `),
      h("span", {class: "at"}, String(p.at + 1)),
      h("b", {class: "text"}, p.text ? blanks(p.text) : "∅"),
      unseen(`, ${model.words.id} `),
      h("span", {class: "id"}, grouped(String(p.id))),
      unseen(`, ${model.words.bytes} `),
      h("span", {class: "bytes"}, p.bytes || "–"),
      p.of && [unseen(", "), h("span", {class: "of"}, ofWhat(p.of))],
    )
  }

  function keys(event) {
    const list = [...root.querySelectorAll(".piece")]
    const here = list.indexOf(root.getRootNode().activeElement)
    const to = {ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: list.length - 1}[event.key]
    if (to !== undefined) list[Math.max(0, Math.min(list.length - 1, to))].focus()
    else if (event.key === "Enter" || event.key === " ") choose(Number(list[here]?.dataset.at ?? at))
    else return
    event.preventDefault()
  }

  function build() {
    const had = root.contains(root.getRootNode().activeElement)
    at = model.chosen
    root.replaceChildren(...model.pieces.map(piece))
    body.querySelector(".window")?.remove()
    if (model.window) body.append(h("p", {class: "window"}, model.window))
    if (had) root.querySelector(".on")?.focus({preventScroll: true})
  }

  root.addEventListener("keydown", keys)
  build()
  model.on("version", () => requestAnimationFrame(build))
  return body
}
