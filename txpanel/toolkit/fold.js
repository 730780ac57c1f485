// A fold-out with Panel content inside.
export function render({model, el}) {
  const body = tx.h("div", {class: "body"}, model.get_child("objects"))
  const details = tx.h("details", {open: model.open}, tx.h("summary", null, model.label), body)
  details.addEventListener("toggle", () => { model.open = details.open })
  model.on("open", () => { details.open = model.open })
  el.append(details)
}
