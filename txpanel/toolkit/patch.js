// The one way to change what elements.js made: plain values say what should be there; they are compared with the elements that are there, and only
// what differs is changed. Laying out and painting a whole table again costs the browser more than computing its numbers.
//   patch(table, v("tr", {class: "hit", style: "width:9px"}, "text, always as text", v("td", null, "…")))
// Nothing in it listens: listen on the parent, and ask event.target.closest("[data-id]").
import {SVG} from "./elements.js"

export const v = (tag, attributes, ...children) => ({tag, attributes, children})

const NONE = {}
const worn = new WeakMap() // element -> the attributes that it was given last

function dress(el, attributes) {
  const was = worn.get(el) ?? NONE
  const now = {}
  for (const name in attributes) {
    const value = attributes[name]
    if (value == null || value === false) continue
    const text = value === true ? "" : String(value)
    now[name] = text
    if (was[name] === text) continue
    if (name === "style") el.style.cssText = text
    else el.setAttribute(name, text)
  }
  for (const name in was) if (!(name in now)) el.removeAttribute(name)
  worn.set(el, now)
}

export function patch(parent, ...children) {
  let at = parent.firstChild
  const add = (node) => {
    parent.insertBefore(node, at)
    return node
  }
  const put = (child) => {
    if (child == null || child === false) return
    if (Array.isArray(child)) return child.forEach(put)
    if (child.tag === undefined) {
      const text = String(child)
      if (at?.nodeType !== Node.TEXT_NODE) return add(document.createTextNode(text))
      if (at.data !== text) at.data = text
      at = at.nextSibling
      return
    }
    const there = at?.localName === child.tag
    const el = there ? at : document.createElementNS(child.tag === "svg" ? SVG : parent.namespaceURI, child.tag)
    dress(el, child.attributes)
    patch(el, child.children)
    if (there) at = at.nextSibling
    else add(el)
  }
  children.forEach(put)
  while (at) {
    const next = at.nextSibling
    at.remove()
    at = next
  }
}

// One attribute of an element that no patch dresses, touched only where it differs.
export const set = (el, name, value) => {
  if (el.getAttribute(name) !== String(value)) el.setAttribute(name, value)
}

// One element per key, for lists whose elements move, have the focus, or are pressed while the list changes. Those that stay are moved (CSS eases it),
// new ones are made, the others removed; then each gets its content, as values (like `v`) or by its function `update`.
//   keyed(list, [{key: 7, ...v("li", {class: "on"}, "seven")}])
//   keyed(list, [{key: 7, update: (el) => patch(el, "seven")}], ({key}) => h("button", {type: "button", onclick: () => choose(key)}))
const held = new WeakMap() // parent -> its elements by their keys
export function keyed(parent, items, make = ({tag}) => document.createElementNS(parent.namespaceURI, tag)) {
  const old = held.get(parent) ?? new Map()
  const now = new Map()
  for (const item of items) {
    const el = old.get(item.key) ?? make(item)
    now.set(item.key, el)
    if (item.tag) {
      dress(el, item.attributes)
      patch(el, item.children)
    }
    item.update?.(el)
  }
  for (const [key, el] of old) if (!now.has(key)) el.remove()
  let i = 0
  for (const el of now.values()) {
    // only elements at another place are moved: moving one takes the focus from it
    if (parent.children[i] !== el) parent.insertBefore(el, parent.children[i] ?? null)
    i += 1
  }
  held.set(parent, now)
}
