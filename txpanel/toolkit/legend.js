import {h} from "./elements.js"
import {grouped, number} from "./numbers.js"

export function render({model, el}) {
  const root = h("figure", {class: "legend"})
  el.append(root)
  const draw = () => {
    const {gradient, ticks, kind, middle} = model.scale
    if (!gradient) return root.replaceChildren()
    const write = (value) => (kind === "probability" ? grouped(String(Number(value.toPrecision(3)))) : number(value, 3))
    const bar = h("i", {class: "bar", style: {background: gradient}})
    root.replaceChildren(
      h("span", null, write(ticks[0])),
      bar,
      h("span", null, write(ticks[ticks.length - 1])),
      ...(middle ? [h("span", null, model.half.replace("{v}", write(middle)))] : []),
      ...(model.caption ? [h("figcaption", null, model.caption)] : []),
    )
    root.setAttribute("aria-label", `${model.caption} ${write(ticks[0])} – ${write(ticks[ticks.length - 1])}`)
  }
  draw()
  model.on(["scale", "caption", "half"], draw)
}
