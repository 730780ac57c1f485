// Where we look: one of block, head and token, to choose or to step through.
import {h} from "../../toolkit/elements.js"

export function stepper(model, send, name, label) {
  const choose = h("select", {"aria-label": label, onchange: () => send("focus", {[name]: Number(choose.value)})})
  const button = (sign, title, by) =>
    h("button", {type: "button", title, "aria-label": title, onclick: () => send("focus", {[name]: Number(choose.value) + by})}, sign)
  const [before, after] = [button("‹", `${label} −`, -1), button("›", `${label} +`, 1)]
  const root = h("div", {class: "stepper"}, h("span", {class: "name"}, label), before, choose, after)
  let size = -1
  return {
    root,
    draw: () => {
      const [at, names] = [model.place[name], model.place.choices?.[name] ?? []]
      root.hidden = names.length < 1
      const key = names.join("\u0000")
      if (key !== size) {
        size = key
        choose.replaceChildren(...names.map((text, i) => h("option", {value: i}, text)))
      }
      choose.value = String(at)
      before.disabled = at <= 0
      after.disabled = at >= names.length - 1
    },
  }
}
