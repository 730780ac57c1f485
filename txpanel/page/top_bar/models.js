// The choice of a model: those that are offered, and any other by its name.
import {h} from "../../toolkit/elements.js"
import {popover} from "./popover.js"

export function modelChooser(model, send) {
  const w = model.words
  const models = popover("", w.choose_model, {
    class: "chip",
    sheet: "models",
    fill: () => {
      const other = h("input", {type: "text", placeholder: w.other_model, "aria-label": w.other_model, spellcheck: "false"})
      const go = () => {
        if (other.value.trim()) {
          send("load", {name: other.value.trim()})
          models.show(false)
        }
      }
      other.addEventListener("keydown", (event) => {
        if (event.key === "Enter") go()
      })
      models.sheet.replaceChildren(
        h(
          "div",
          {class: "list"},
          model.info.models.map((entry) =>
            h(
              "button",
              {
                type: "button",
                class: "item",
                "aria-current": entry.name === model.info.name,
                onclick: () => {
                  send("load", {name: entry.name})
                  models.show(false)
                },
              },
              h("b", null, entry.title),
              h("span", null, entry.facts),
              entry.note ? h("small", null, entry.note) : null,
            ),
          ),
        ),
        model.info.fixed
          ? null
          : h(
              "div",
              {class: "other"},
              other,
              h("button", {type: "button", class: "small", title: w.load, "aria-label": w.load, onclick: go}, w.load),
            ),
      )
    },
  })
  return models
}
