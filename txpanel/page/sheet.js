// On a phone an opened part comes up as a sheet over the page: this is the sheet's head. Its ✕, and Esc, close it and return the focus to where it was.
import {h} from "../toolkit/elements.js"
import {focused} from "../toolkit/focus.js"
import {hear} from "../toolkit/page_events.js"
import {reducedMotion} from "../toolkit/theme.js"

export function render({model, view, el}) {
  const narrow = matchMedia("(max-width:640px)")
  const system = matchMedia("(prefers-color-scheme:dark)")
  const title = h("h2", {tabindex: "-1"})
  const close = () => {
    const say = () => model.send_msg({open: ""})
    if (reducedMotion() || !sheet()) return say()
    const down = sheet().animate([{}, {translate: "0 60px", opacity: 0}], {duration: 220, easing: "ease-in", fill: "forwards"})
    down.finished.then(say)
    model.on("shown", () => down.cancel())
  }
  const root = h(
    "div",
    {class: "bar"},
    title,
    h("button", {type: "button", "aria-label": model.close_label, title: model.close_label, onclick: close}, "✕"),
  )
  el.append(root)
  const sheet = () => view.parent?.el
  let before = null
  let up = false

  const draw = () => {
    title.textContent = model.title
    root.classList.toggle("on", model.shown)
    const now = model.shown && narrow.matches
    if (now) sheet()?.setAttribute("aria-label", model.title)
    if (now === up) return
    up = now
    document.documentElement.style.overflow = up ? "hidden" : ""
    if (up) {
      before = focused()
      sheet()?.setAttribute("role", "dialog")
      requestAnimationFrame(() => {
        if (sheet()) sheet().scrollTop = 0
        title.focus({preventScroll: true})
      })
    } else {
      for (const name of ["role", "aria-label"]) sheet()?.removeAttribute(name)
      if (before?.isConnected) before.focus({preventScroll: true})
    }
  }
  const keys = (event) => {
    if (event.key === "Escape" && up && !event.defaultPrevented) close()
  }
  const report = () => {
    model.send_msg({narrow: narrow.matches, dark: system.matches})
    draw()
  }
  document.addEventListener("keydown", keys)
  const unheard = [
    hear("reveal", view, (id) => narrow.matches && model.send_msg({reveal: id})),
    hear("uncover", view, () => {
      if (!up) return
      before = null // the focus stays: closing the sheet was asked for from elsewhere on the page
      close()
    }),
  ]
  for (const query of [narrow, system]) query.addEventListener("change", report)
  model.on(["title", "shown"], draw)
  model.on("remove", () => {
    document.removeEventListener("keydown", keys)
    for (const stop of unheard) stop()
    for (const query of [narrow, system]) query.removeEventListener("change", report)
    if (up) document.documentElement.style.overflow = ""
  })
  draw()
  setTimeout(report, 200) // later, since the page's frame takes a theme only once it is drawn
}
