import {h} from "../../toolkit/elements.js"

export function render({model, el}) {
  const root = h("dl", {class: "facts"})
  el.append(root)
  const value = (text, tensor) =>
    tensor ? h("button", {type: "button", title: model.why, onclick: () => model.send_msg({tensor})}, text) : h("b", null, text)
  const draw = () =>
    root.replaceChildren(
      ...model.facts.map(([label, text, note, tensor]) =>
        h(
          "div",
          {class: model.lights.includes(tensor) ? "fact lit" : "fact"},
          h("dt", null, label),
          h("dd", null, value(text, tensor), h("span", null, note)),
        ),
      ),
    )
  draw()
  model.on(["facts", "lights"], draw)
}
