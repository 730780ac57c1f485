// About this model: what it is, and which of its parts are opened. If some are not, the button is a badge that says so.
import {h} from "../../toolkit/elements.js"
import {popover} from "./popover.js"

export function aboutModel(model, send) {
  const w = model.words
  const row = (part) => h("li", null, h("code", null, part.name), part.difference ? h("span", null, part.difference) : null)
  const group = (one) =>
    h(
      "section",
      {class: `part ${one.state}`},
      h(
        "h4",
        null,
        h("i", {class: "mark", "aria-hidden": "true"}),
        h("span", {class: "name"}, one.name),
        h("span", {class: "state"}, one.state === "open" ? w.state_open : w.state_opaque),
      ),
      one.where ? h("p", {class: "where"}, one.where) : null,
      one.reason ? h("p", null, one.reason) : null,
      one.module ? h("p", {class: "dim"}, one.module) : null,
      one.difference ? h("p", {class: "dim"}, one.difference) : null,
      one.rows.length > 1
        ? h("details", null, h("summary", null, w.one_by_one.replace("{n}", one.rows.length)), h("ul", null, one.rows.map(row)))
        : null,
    )
  const switches = ({title, list, why, note}) => {
    const boxes = list.map((one) =>
      h("input", {type: "checkbox", role: "switch", name: one.name, checked: one.on, disabled: Boolean(why), onchange: () => turn()}),
    )
    const turn = () => send("adapters", {on: boxes.filter((box) => box.checked).map((box) => box.name)})
    return h(
      "fieldset",
      {class: "adapters"},
      h("legend", null, title),
      ...list.map((one, at) => h("label", null, boxes[at], h("span", null, one.name))),
      h("p", {class: "dim"}, why || note),
    )
  }
  const sheet = popover("", w.about, {
    class: "quiet about",
    alone: true,
    sheet: "about",
    fill: () => {
      const {lead, facts, groups, adapters} = model.info.about
      sheet.sheet.tabIndex = -1
      sheet.sheet.replaceChildren(
        h("h3", null, w.about),
        h("p", {class: "lead"}, lead),
        h(
          "dl",
          null,
          [[model.info.title, model.info.facts], ...facts].map(([label, text]) => [h("dt", null, label), h("dd", null, text)]),
        ),
        ...(adapters?.list?.length ? [switches(adapters)] : []),
        ...groups.map(group),
      )
      sheet.sheet.focus()
    },
  })
  sheet.draw = () => {
    const {badge, lead} = model.info.about
    sheet.root.hidden = !lead
    sheet.opener.replaceChildren(...(badge ? [h("i", {class: "mark", "aria-hidden": "true"}), badge] : [w.about_short]))
    sheet.opener.classList.toggle("badge", Boolean(badge))
    const label = badge ? `${badge}: ${w.about}` : w.about
    sheet.opener.title = label
    sheet.opener.setAttribute("aria-label", label)
    if (!sheet.sheet.hidden) sheet.show(false)
  }
  return sheet
}
