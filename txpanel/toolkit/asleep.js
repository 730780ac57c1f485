// In a notebook the kernel may not answer: it has ended, or is busy for long. Then controls that need the model are grey and say so, and a click changes
// nothing, not even a label. The kernel is asked again after each click or key; an answer that comes late makes the controls usable again.
import {hold} from "./saved_page.js"

const PATIENCE = 5000 // milliseconds for the first answer
const BUSY = 12000 // and for one after a click, which may have given the kernel work
const AGAIN = 8000 // between two questions while none is answered: one may have been lost
const SOON = 300
const BLOCKED = ["pointerdown", "click", "keydown", "beforeinput", "input", "change"]
// Controls that work without Python in a notebook. Those with data-alone="saved" do so only on a saved page, which contains what they need.
export const ALONE = "[data-alone]:not([data-alone=saved])"

export const inNotebook = () => Boolean(globalThis.PyViz) && !globalThis.txpanelSaved

const roots = (node, into = []) => {
  if (node.shadowRoot) into.push(node.shadowRoot)
  for (const child of [...(node.shadowRoot?.children ?? []), ...node.children]) roots(child, into)
  return into
}

// top: the dashboard's element. words: {needs}. ask(id) sends a question; its answer is passed to `heard`. changed(on): called when the kernel has stopped
// answering (true) or answers again (false).
export function watchKernel(top, words, ask, changed) {
  const asked = new Set()
  let again = 0 // timer
  let waits = 0 // timer
  let soon = 0 // timer
  let opened = null
  const block = (event) => {
    if (event.type === "keydown" && ["Tab", "Escape"].includes(event.key)) return
    if (event.composedPath().some((node) => node.matches?.(ALONE))) return
    event.stopImmediatePropagation()
    if (event.cancelable) event.preventDefault()
  }
  const sleep = () => {
    if (opened) return
    const fences = roots(top).map((root) => hold(root, words.needs, ALONE))
    for (const kind of BLOCKED) top.addEventListener(kind, block, true)
    opened = () => {
      for (const open of fences) open()
      for (const kind of BLOCKED) top.removeEventListener(kind, block, true)
      opened = null
    }
    changed(true)
  }
  const send = () => {
    const id = `awake/${performance.timeOrigin}/${performance.now()}`
    asked.add(id)
    ask(id)
    again = setTimeout(send, AGAIN)
  }
  const question = (patience) => {
    if (asked.size || opened) return
    send()
    waits = setTimeout(sleep, patience)
  }
  const hand = () => {
    clearTimeout(soon)
    soon = setTimeout(() => question(BUSY), SOON)
  }
  const hands = ["click", "keydown", "change"]
  for (const kind of hands) top.addEventListener(kind, hand)
  question(PATIENCE)
  return {
    heard: (answer) => {
      if (!asked.has(answer)) return
      asked.clear()
      clearTimeout(waits)
      clearTimeout(again)
      if (!opened) return
      opened()
      changed(false)
    },
    stop: () => {
      clearTimeout(waits)
      clearTimeout(soon)
      clearTimeout(again)
      for (const kind of hands) top.removeEventListener(kind, hand)
      opened?.()
    },
  }
}
