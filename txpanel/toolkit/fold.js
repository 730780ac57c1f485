// A fold-out with Panel content inside.
import {h} from "./elements.js"

export function render({model, el}) {
  const body = h("div", {class: "body"}, model.get_child("objects"))
  const details = h("details", {open: model.open}, h("summary", null, model.label), body)
  details.addEventListener("toggle", () => {
    model.open = details.open
  })
  model.on("open", () => {
    details.open = model.open
  })
  el.append(details)
}
