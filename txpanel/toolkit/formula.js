// Formulas, each on a line of its own.
import {h} from "./elements.js"
import {fitted, mathml} from "./mathml.js"

export function render({model, el}) {
  const root = h("div", {class: "formula"})
  el.append(root)
  const fits = fitted(root)
  const draw = () => {
    root.replaceChildren(...model.trees.map((tree) => h("div", null, mathml(tree))))
    fits.fit()
  }
  draw()
  model.on("trees", draw)
  model.on("remove", fits.stop)
}
