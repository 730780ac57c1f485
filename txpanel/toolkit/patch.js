// Pictures that change under the hand: what should be there is said as plain values, and put into the elements that are there already, so that only
// what differs is touched. Laying out and painting a whole table anew costs the browser more than all the numbers in it.
//   patch(table, v("tr", {class: "hit", style: "width:9px"}, "text, always as text", v("td", null, "…")))
// Nothing in it listens: listen on the parent, and ask event.target.closest("[data-id]").
export const v = (tag, attributes, ...children) => ({tag, attributes, children})

export const SVG = "http://www.w3.org/2000/svg"
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
