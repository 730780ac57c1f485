export function render({model, el}) {
  const root = tx.h("dl", {class: "facts"})
  el.append(root)
  const draw = () => root.replaceChildren(...model.facts.map(([label, value, note]) =>
    tx.h("div", {class: "fact"}, tx.h("dt", null, label), tx.h("dd", null, tx.h("b", null, value), tx.h("span", null, note)))))
  draw()
  model.on("facts", draw)
}
