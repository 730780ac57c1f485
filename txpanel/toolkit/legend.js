export function render({model, el}) {
  const root = tx.h("figure", {class: "legend"})
  el.append(root)
  const draw = () => {
    const {gradient, ticks, kind, middle} = model.scale
    if (!gradient) return root.replaceChildren()
    const write = (value) => (kind === "probability" ? tx.grouped(String(Number(value.toPrecision(3)))) : tx.number(value, 3))
    const bar = tx.h("i", {class: "bar", style: {background: gradient}})
    root.replaceChildren(
      tx.h("span", null, write(ticks[0])), bar, tx.h("span", null, write(ticks[ticks.length - 1])),
      ...(middle ? [tx.h("span", null, model.half.replace("{v}", write(middle)))] : []),
      ...(model.caption ? [tx.h("figcaption", null, model.caption)] : []))
    root.setAttribute("aria-label", `${model.caption} ${write(ticks[0])} – ${write(ticks[ticks.length - 1])}`)
  }
  draw()
  model.on(["scale", "caption", "half"], draw)
}
