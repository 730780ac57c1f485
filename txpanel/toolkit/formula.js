// Formulas, each on a line of its own.
import {h} from "./elements.js"
import {mathml} from "./mathml.js"

export function render({model, el}) {
  const root = h("div", {class: "formula"})
  el.append(root)
  const draw = () => root.replaceChildren(...model.trees.map(mathml))
  draw()
  model.on("trees", draw)
}
