// A page without a server, such as a saved one: what the browser does by itself works, everything else is grey and says why.
// What works without the model carries the attribute data-alone; a control that does not say so is taken for one that needs it.
import {h} from "./elements.js"

const CONTROLS = "button, input, select, textarea"

// What the page was saved with (txpanel/page/offline.py); undefined on a server and in a notebook.
const saved = () => globalThis.txpanelSaved
export const isSaved = () => Boolean(saved())

// A model whose messages go nowhere. The page says so if a person caused the message.
export const unheard = (model) => new Proxy(model, {get: (on, name) => (name === "send_msg" ? say : Reflect.get(on, name))})

// Keeps all controls below a root grey, those that come later as well.
export const fence = (root) => hold(root, saved().words.needs, "[data-alone]")

// Keeps them grey until the returned function is called. needs: the sentence that says why. alone: selector of the controls that work without the model.
export function hold(root, needs, alone) {
  const before = new Map() // control: what it was
  const shut = (control) => {
    if (control.closest(alone)) return
    if (!before.has(control)) before.set(control, {title: control.title, disabled: control.disabled, readOnly: control.readOnly})
    if (control.title !== needs) control.title = needs
    if (control.matches("textarea, input[type=text], input:not([type])")) control.readOnly = true
    else if (!control.disabled) control.disabled = true
    if (!control.classList.contains("tx-needs")) control.classList.add("tx-needs")
  }
  const look = () => {
    for (const control of root.querySelectorAll(CONTROLS)) shut(control)
  }
  const watched = new MutationObserver(look)
  watched.observe(root, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["disabled", "title", "class"],
  })
  look()
  return () => {
    watched.disconnect()
    for (const [control, was] of before) {
      Object.assign(control, was)
      control.classList.remove("tx-needs")
    }
  }
}

let hand = -Infinity
let line = null
let fades = 0
function say() {
  if (performance.now() - hand > 500) return
  line.hidden = false
  line.textContent = saved().words.said
  clearTimeout(fades)
  fades = setTimeout(() => {
    line.hidden = true
    line.textContent = ""
  }, 8000)
}

const documents = () => globalThis.Bokeh?.documents ?? []
const models = () => documents().flatMap((page) => [...page._all_models.values()])

// Opens one of the views that the page was saved with; the tabs and the flow's headings hear of it by the event.
export const opensHere = (id) => saved().views.includes(id)
export function openHere(id) {
  for (const one of models()) {
    const own = (one.css_classes ?? []).find?.((name) => name.startsWith("view-"))
    if (!own) continue
    const on = own === `view-${id}`
    one.css_classes = on ? ["leaf", own] : ["leaf", "folded", own]
    one.visible = on
  }
  dispatchEvent(new CustomEvent("tx-opened", {detail: id}))
}

// Light and dark: the page contains what differs between them in its pictures.
export function otherTheme() {
  const root = document.documentElement
  const dark = root.dataset.dark !== "true"
  root.dataset.dark = dark
  root.style.colorScheme = dark ? "dark" : "light"
  for (const page of documents())
    for (const [id, change] of Object.entries(saved().themes)) {
      const model = page.get_model_by_id(id)
      if (!model) continue
      const given = change[dark ? 1 : 0]
      model.setv(given.data && model.data ? {...given, data: {...model.data, ...given.data}} : given)
    }
}

// Once on a page: a banner that says what this page is, and the line for messages about what cannot be done.
export function standAlone() {
  if (!isSaved() || line) return
  const moved = () => {
    hand = performance.now()
  }
  for (const kind of ["pointerdown", "pointerup", "keydown", "change"]) addEventListener(kind, moved, true)
  line = h("div", {class: "tx-saved-line", role: "status", hidden: true})
  const {banner, facts, grey} = saved().words
  const top = h(
    "aside",
    {class: "tx-saved", "aria-label": banner},
    h("b", null, banner),
    facts.map((fact) => h("span", null, fact)),
    h("span", {class: "dim"}, grey),
  )
  document.head.append(h("style", null, CSS))
  document.body.prepend(top)
  document.body.append(line)
  addEventListener("pointerover", (event) => {
    // Bokeh's own controls, which txpanel/page/offline.py has switched off
    const one = event.composedPath().find((node) => node.classList?.contains("tx-needs"))
    if (one && !one.title) one.title = saved().words.needs
  })
}

const CSS = `.tx-saved{display:flex;flex-wrap:wrap;gap:2px 14px;padding:7px 24px;font:13px/1.5 Roboto,Arial,sans-serif;background:var(--tx-sunken);color:var(--tx-soft);
border-bottom:1px solid var(--tx-border)} .tx-saved b{color:var(--tx-text)} .tx-saved .dim{color:var(--tx-muted)}
.tx-saved-line{position:fixed;z-index:99;inset:auto 0 16px 0;margin:auto;width:fit-content;max-width:calc(100vw - 32px);box-sizing:border-box;padding:10px 16px;
border-radius:10px;font:14px/1.5 Roboto,Arial,sans-serif;background:var(--tx-text);color:var(--tx-surface);box-shadow:0 6px 24px rgb(15 23 42/.3)}
.tx-saved-line[hidden]{display:none}
@media print{.tx-saved-line{display:none}}`
