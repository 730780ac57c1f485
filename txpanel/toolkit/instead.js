// A block without the part that a view is about: what it has instead, as a hatched mark, sentences, and buttons that go to other blocks.
import {h} from "./elements.js"
import {paragraphs} from "./rich.js"

export function render({model, el}) {
  const words = h("div", {class: "words"})
  const buttons = h("div", {class: "buttons"})
  const mark = h("i", {class: "mark", "aria-hidden": "true"})
  el.append(h("section", {class: "instead"}, mark, h("div", null, words, buttons)))
  const draw = () => {
    words.replaceChildren(h("h3", null, model.heading), ...paragraphs(model.paragraphs))
    buttons.replaceChildren(
      ...model.actions.map(([text, layer]) =>
        h("button", {type: "button", onclick: () => model.send_msg({go: layer})}, text, h("span", {"aria-hidden": "true"}, " →")),
      ),
    )
    mark.hidden = !model.closed
    buttons.hidden = !model.actions.length
  }
  draw()
  model.on(["heading", "paragraphs", "actions", "closed"], draw)
}
