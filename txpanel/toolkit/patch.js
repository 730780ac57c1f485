// The one way to change what elements.js made: what should be there is said as plain values, and put into the elements that are there already, so
// that only what differs is touched. Laying out and painting a whole table anew costs the browser more than all the numbers in it.
//   patch(table, v("tr", {class: "hit", style: "width:9px"}, "text, always as text", v("td", null, "…")))
// Nothing in it listens: listen on the parent, and ask event.target.closest("[data-id]").
import {SVG} from "./elements.js"

export const v = (tag, attributes, ...children) => ({tag, attributes, children})

const NONE = {}
const worn = new WeakMap() // the attributes that an element was given last

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

// One element per key, for lists whose elements move, have the focus, or are pressed while the list changes: what stays is moved (CSS eases it), what
// is new is made, what is gone goes; then each is told what it shows, as values or by itself.
//   keyed(list, [{key: 7, ...v("li", {class: "on"}, "seven")}])
//   keyed(list, [{key: 7, update: (el) => patch(el, "seven")}], ({key}) => h("button", {type: "button", onclick: () => choose(key)}))
const held = new WeakMap() // the elements of a parent by their keys
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
    // in order, touching only what stands elsewhere: focus stays where it is
    if (parent.children[i] !== el) parent.insertBefore(el, parent.children[i] ?? null)
    i += 1
  }
  held.set(parent, now)
}
