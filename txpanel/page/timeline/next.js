// The next tokens at this place: the bar of the draw, and the candidates to choose from.
import {alone, h, quoted} from "../../toolkit/elements.js"
import {percent} from "../../toolkit/numbers.js"
import {nextBar} from "./parts.js"

// take(id): called when a person chooses a token. draw() shows `model.next`.
export function nextTokens(model, take) {
  const w = model.words
  const root = h("section", {class: "next"})
  let replay = () => {}
  const draw = () => {
    const {choices, taken, drawn, sentence} = model.next
    root.hidden = !choices
    if (!choices) return
    const focused = root.getRootNode().activeElement?.dataset?.token
    const titled = (token, text, p) =>
      (taken !== null && token !== taken ? w.branch : w.take)
        .replace("{token}", () => quoted(text))
        .replace("{p}", p > 0 ? percent(p) : w.cut)
    const bar = nextBar(model.next, w, titled, take)
    replay = bar.replay
    root.setAttribute("aria-label", w.next)
    root.replaceChildren(
      h(
        "div",
        {class: "cast"},
        h("button", {type: "button", class: "icon small", title: w.replay, "aria-label": w.replay, onclick: () => replay()}, "↻"),
        bar.root,
      ),
      h("p", null, h("b", null, w.next), sentence),
      h(
        "div",
        {class: "choices"},
        choices.map(([token, whole, p]) => {
          const text = alone(whole)
          const tags = [token === taken ? w.came : null, token === drawn && token !== taken ? w.draws : null].filter(Boolean)
          const title = titled(token, whole, p)
          return h(
            "button",
            {
              type: "button",
              class: `choice${token === drawn ? " drawn" : ""}${token === taken ? " taken" : ""}`,
              "data-token": token,
              title,
              "aria-label": `${[text, p > 0 ? percent(p) : w.cut, ...tags].join(" ")}: ${title}`, // the accessible name begins with the visible text, as speech control needs
              onclick: () => take(token),
            },
            h("i", {style: {width: `${p * 100}%`}}),
            h("b", null, text),
            " ",
            h("span", null, p > 0 ? percent(p) : w.cut),
            tags.map((tag) => [" ", h("em", null, tag)]),
          )
        }),
      ),
    )
    if (focused) (root.querySelector(`[data-token="${focused}"]`) ?? root.querySelector(".choice.drawn"))?.focus() // the focus stays in the list, for the keyboard
  }
  return {root, draw}
}
