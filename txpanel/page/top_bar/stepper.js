// The selected block, head or token, to choose or to step through.
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
      const why = model.place.why?.[name] ?? "" // nothing to choose here: greyed, with the reason
      root.hidden = names.length < 1 && !why
      root.classList.toggle("none", Boolean(why))
      for (const [attribute, value] of [
        ["title", why],
        ["role", why && "note"],
        ["tabindex", why && "0"],
        ["aria-label", why],
      ])
        if (value) root.setAttribute(attribute, value)
        else root.removeAttribute(attribute)
      choose.disabled = Boolean(why)
      const key = names.join("\u0000")
      if (key !== size) {
        size = key
        choose.replaceChildren(...(names.length ? names : ["–"]).map((text, i) => h("option", {value: i}, text)))
      }
      choose.value = String(names.length ? at : 0)
      before.disabled = at <= 0 || !names.length
      after.disabled = at >= names.length - 1
    },
  }
}
