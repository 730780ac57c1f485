// Which part is unfolded below the flow. A second click, or Esc, folds it again.
export function render({model, el}) {
  const root = tx.h("div", {class: "tabs", role: "tablist", "aria-label": model.label})
  el.append(root)
  const draw = () => {
    const focused = root.getRootNode().activeElement?.dataset?.id
    root.replaceChildren(...model.tabs.map(({id, title, failed}) => {
      const on = id === model.chosen
      return tx.h("button", {type: "button", role: "tab", "aria-selected": on, "aria-expanded": on, "data-id": id,
        tabindex: on || (!model.chosen && id === model.tabs[0].id) ? 0 : -1, onclick: () => model.send_msg({open: on ? "" : id})},
      title, failed ? tx.h("span", {class: "failed", title: model.failed_label, "aria-label": model.failed_label}, "!") : null)
    }))
    if (focused) [...root.children].find((tab) => tab.dataset.id === focused)?.focus()
  }
  root.addEventListener("keydown", (event) => {
    const tabs = [...root.children]
    const at = tabs.indexOf(root.getRootNode().activeElement)
    const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[event.key]
    if (to !== undefined) { event.preventDefault(); tabs[(to + tabs.length) % tabs.length].focus() }
    if (event.key === "Escape" && model.chosen) model.send_msg({open: ""})
  })
  model.on(["tabs", "chosen"], draw)
  draw()
}
