import {h} from "./elements.js"

export function render({model, el}) {
  const draw = () => {
    const retry = h("button", {type: "button", onclick: () => model.send_msg({kind: "retry"})}, model.retry_label)
    const card = h(
      "section",
      {class: "card", role: "alert"},
      h("div", {class: "row"}, h("span", {class: "mark", "aria-hidden": "true"}, "!"), h("h3", null, model.heading), retry),
      h("p", null, model.reason),
      model.advice ? h("p", {class: "advice"}, model.advice) : null,
      model.details ? h("details", null, h("summary", null, model.details_label), h("pre", null, model.details)) : null,
    )
    if (!model.retry_label) retry.remove()
    el.replaceChildren(card)
  }
  draw()
  model.on(["heading", "reason", "advice", "details"], draw)
}
