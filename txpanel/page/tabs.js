// The tabs: which view is unfolded below the flow. A click opens it and scrolls to it, also when it is open already; ✕ and Esc close it.
import {h} from "../toolkit/elements.js"
import {say} from "../toolkit/page_events.js"
import {offer} from "../toolkit/page_parts.js"
import {keyed, patch, set, v} from "../toolkit/patch.js"
import {isSaved, openHere, opensHere} from "../toolkit/saved_page.js"

export function render({model, view, el}) {
  const root = h("div", {class: "tabs", role: "tablist", "aria-label": model.label})
  const unfold = (id) => {
    if (isSaved()) openHere(id)
    else model.send_msg({open: id})
  }
  const fold = () => unfold("")
  const label = {"aria-label": model.close_label, title: model.close_label, "data-alone": "saved"}
  const close = h("button", {type: "button", class: "close", ...label, onclick: fold}, "✕")
  el.append(h("div", {class: "row"}, root, close))
  const open = (id) => {
    unfold(id)
    say(el, "reveal", id)
  }
  if (isSaved()) addEventListener("tx-opened", ({detail}) => Object.assign(model, {chosen: detail}))
  const chosen = () => root.querySelector("[aria-selected=true]")
  const draw = () => {
    // a tab stays the same element: if it changed between press and release, the click would be lost
    keyed(
      root,
      model.tabs.map(({id, title, failed}) => ({
        key: id,
        update(tab) {
          const on = id === model.chosen
          set(tab, "aria-selected", on)
          set(tab, "aria-expanded", on)
          tab.toggleAttribute("data-alone", isSaved() && opensHere(id))
          tab.tabIndex = on || (!model.chosen && id === model.tabs[0].id) ? 0 : -1
          patch(tab, title, failed && v("span", {class: "failed", title: model.failed_label, "aria-label": model.failed_label}, "!"))
        },
      })),
      ({key: id}) => h("button", {type: "button", role: "tab", "data-id": id, onclick: () => open(id)}),
    )
    close.hidden = !model.chosen
    show(chosen())
  }
  const show = (tab) => {
    // where they do not all fit, as on a phone, the chosen tab is scrolled into sight
    if (!tab) return
    const left = tab.offsetLeft - root.offsetLeft,
      right = left + tab.offsetWidth
    if (left < root.scrollLeft || right > root.scrollLeft + root.clientWidth)
      root.scrollLeft = left - (root.clientWidth - tab.offsetWidth) / 2
  }
  root.addEventListener("keydown", (event) => {
    const tabs = [...root.children]
    const at = tabs.indexOf(root.getRootNode().activeElement)
    const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[event.key]
    if (to !== undefined) {
      event.preventDefault()
      tabs[(to + tabs.length) % tabs.length].focus()
    }
    if (event.key === "Escape" && model.chosen) fold()
  })
  // the unfolded view is the next element
  const offered = offer(view, {tabs: () => root, view: () => (model.chosen ? view.el.nextElementSibling : null)})
  model.on("remove", offered)
  model.on(["tabs", "chosen"], draw)
  draw()
  new ResizeObserver(() => show(chosen())).observe(root)
}
