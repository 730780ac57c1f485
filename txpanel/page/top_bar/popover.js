// A button, and a sheet that closes on Esc or a click elsewhere.
import {h} from "../../toolkit/elements.js"

const EDGE = 8 // pixels between a sheet and the edge of the window
const BELOW = 6 // and between it and its button

// A sheet opens below its button; one that would leave the window is moved back into it.
function keepInside(sheet, opener) {
  sheet.style.translate = ""
  const at = sheet.getBoundingClientRect()
  if (!at.width) return
  const x = Math.max(Math.min(0, document.documentElement.clientWidth - EDGE - at.right), EDGE - at.left)
  const from = opener.getBoundingClientRect()
  const over = at.top < from.bottom && at.bottom > from.top // on a phone, where it is as wide as the window
  const y = over || at.top < EDGE ? Math.max(EDGE, from.bottom + BELOW) - at.top : 0
  sheet.style.translate = x || y ? `${x}px ${y}px` : ""
}

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
      keepInside(sheet, opener)
      sheet.querySelector("button,input,select")?.focus()
    }
  }
  opener.addEventListener("click", () => show(sheet.hidden))
  new ResizeObserver(() => keepInside(sheet, opener)).observe(sheet) // its content may come later
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
