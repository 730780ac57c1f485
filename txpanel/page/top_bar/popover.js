// A button, and a sheet that closes on Esc or a click elsewhere.
import {h} from "../../toolkit/elements.js"

export const popover = (label, title, more = {}) => {
  const sheet = h("div", {class: `sheet ${more.sheet ?? ""}`, role: "dialog", "aria-label": title, hidden: true})
  const opener = h(
    "button",
    {type: "button", class: more.class, title, "aria-label": title, "aria-haspopup": "dialog", "aria-expanded": "false"},
    label,
  )
  const root = h("div", {class: "popover", "data-alone": more.alone}, opener, sheet)
  const show = (on) => {
    sheet.hidden = !on
    opener.setAttribute("aria-expanded", on)
    if (on) {
      more.fill?.()
      sheet.querySelector("button,input,select")?.focus()
    }
  }
  opener.addEventListener("click", () => show(sheet.hidden))
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !sheet.hidden) {
      event.stopPropagation()
      show(false)
      opener.focus()
    }
  })
  root.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !root.contains(event.relatedTarget)) show(false)
  })
  document.addEventListener("pointerdown", (event) => {
    if (!event.composedPath().includes(root)) show(false)
  })
  return {root, sheet, opener, show}
}
