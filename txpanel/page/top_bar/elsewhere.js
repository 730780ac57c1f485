// Controls of the bar that are shown inside another part of the page, where their effect is seen. They still belong to the bar, and keep its styles.
import {h} from "../../toolkit/elements.js"
import {offer} from "../../toolkit/page_parts.js"

/** Puts elements into `place`, in a shadow root that has all the styles of the root of `from`. Returns the box around them. */
export function putInto(place, from, cls, ...elements) {
  const host = h("div", {class: "of-bar"})
  const root = host.attachShadow({mode: "open"})
  const own = from.getRootNode()
  root.adoptedStyleSheets = [...(own.adoptedStyleSheets ?? [])]
  const box = h("div", {class: cls}, ...elements)
  root.append(...[...(own.querySelectorAll?.("style, link[rel=stylesheet]") ?? [])].map((one) => one.cloneNode(true)), box)
  place.replaceChildren(host)
  return box
}

/** The parts of the bar that a lesson can highlight; the settings only while they are in it. */
export const offerBar = (view, el, {field, ghost, models, generate, amount, undo, redo, sampling}) =>
  offer(view, {
    prompt: () => field,
    drawn: () => (ghost.hidden ? null : ghost),
    model: () => models.root,
    generate: () => [generate, amount],
    undo: () => [undo, redo],
    temperature: () => (sampling.inline.getRootNode() === el.getRootNode() ? sampling.inline : null),
  })
