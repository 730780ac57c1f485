// Formulas as MathML, which browsers draw by themselves: no library, no fonts to fetch, readable by screen readers.

const MATH = "http://www.w3.org/1998/Math/MathML"
const TAGS = new Set(
  (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom msub msup msubsup munder mover " +
    "munderover mmultiscripts mprescripts mtable mtr mtd menclose mfenced"
  ).split(" "),
)

// A tree of `txpanel.toolkit.formula.mathml` as elements; text as text, an unknown element as a plain row.
export function mathml([tag, attributes, ...children]) {
  const node = document.createElementNS(MATH, TAGS.has(tag) ? tag : "mrow")
  for (const [name, value] of Object.entries(attributes)) if (!/^(on|href|src|style)/i.test(name)) node.setAttribute(name, value)
  for (const child of children) node.append(typeof child === "string" ? child : mathml(child))
  return node
}
