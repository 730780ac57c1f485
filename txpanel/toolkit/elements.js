// The one way to make elements: h for HTML, s for SVG, m for MathML, each with its attributes as a plain object. Text always becomes a text node:
//   h("b", {class: "x", "aria-pressed": false, onclick: f}, "token <script>")
// What changes in elements that are there already is said to patch.js.
export const SVG = "http://www.w3.org/2000/svg"
const MATH = "http://www.w3.org/1998/Math/MathML"

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("aria-") && typeof value === "boolean") {
      node.setAttribute(name, String(value))
      continue
    }
    if (value == null || value === false) continue
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value)
    else if (name === "style" && typeof value === "object") {
      for (const [key, part] of Object.entries(value)) node.style.setProperty(key, part)
    } else node.setAttribute(name, value === true ? "" : String(value))
  }
  for (const child of children.flat(Infinity)) {
    if (child == null || child === false) continue
    node.append(child.nodeType ? child : document.createTextNode(String(child)))
  }
  return node
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children)
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children)
export const m = (tag, attributes, ...children) => fill(document.createElementNS(MATH, tag), attributes, children)

// A token with its blanks made visible, as nodes: the sign hangs under the line in most fonts and is lifted (BASE_CSS).
export const blanks = (text) =>
  text
    .split(/( +)/)
    .map((part) =>
      part.startsWith(" ") ? h("i", {class: "tx-blank"}, part.length > 4 ? `␣×${part.length}` : "␣".repeat(part.length)) : part,
    )

// A token that is nothing but spaces can be seen where it stands alone, as text.
export const alone = (text) => (text.trim() ? text : text.replaceAll(" ", "␣"))

// Between quotation marks a blank that belongs to a token would look like a typing error: it is drawn.
export const quoted = (text) => (text.trim() ? text.replace(/^ +/, (found) => "␣".repeat(found.length)) : alone(text))

// Acts now, or as soon as nothing in el is pressed any more: a control that moves or is replaced between press and release gets no click.
const RELEASES = ["pointerup", "pointercancel", "keyup"]
export function released(el, act) {
  if (!el.matches(":active")) return act()
  const over = () => {
    for (const kind of RELEASES) removeEventListener(kind, over, true)
    setTimeout(act)
  }
  for (const kind of RELEASES) addEventListener(kind, over, true)
}

export function download(name, blob) {
  const link = h("a", {href: URL.createObjectURL(blob), download: name})
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(link.href), 10000)
}
