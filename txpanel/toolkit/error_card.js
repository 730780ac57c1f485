export function render({model, el}) {
  const draw = () => {
    const retry = tx.h("button", {type: "button", onclick: () => model.send_msg({kind: "retry"})}, model.retry_label)
    const card = tx.h("section", {class: "card", role: "alert"},
      tx.h("div", {class: "row"}, tx.h("span", {class: "mark", "aria-hidden": "true"}, "!"), tx.h("h3", null, model.heading), retry),
      tx.h("p", null, model.reason),
      model.advice ? tx.h("p", {class: "advice"}, model.advice) : null,
      model.details ? tx.h("details", null, tx.h("summary", null, model.details_label), tx.h("pre", null, model.details)) : null)
    if (!model.retry_label) retry.remove()
    el.replaceChildren(card)
  }
  draw()
  model.on(["heading", "reason", "advice", "details"], draw)
}
