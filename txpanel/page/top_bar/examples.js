// Texts to try, under the prompt.
import {h} from "../../toolkit/elements.js"

// tryOut(text): called with the text that was chosen.
export function exampleTexts(model, tryOut) {
  const w = model.words
  const root = h("div", {class: "examples", role: "group", "aria-label": w.examples})
  const example = ([label, text]) =>
    h("button", {type: "button", class: "example", title: text, "aria-label": `${w.example}: ${text}`, onclick: () => tryOut(text)}, label)
  const draw = () => {
    root.replaceChildren(h("span", {"aria-hidden": "true"}, w.example), ...model.info.examples.map(example))
    root.hidden = !model.info.examples.length
  }
  return {root, draw}
}
