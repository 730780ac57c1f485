// Formulas as MathML, which browsers draw by themselves: no library, no fonts to fetch, readable by screen readers.
import {m} from "./elements.js"

const TAGS = new Set(
  (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom msub msup msubsup munder mover " +
    "munderover mmultiscripts mprescripts mtable mtr mtd menclose mfenced"
  ).split(" "),
)

const LEAST = 0.6 // of its size; a formula that is still too wide can be scrolled

/** Makes formulas that are too wide for their place smaller, so that none is cut. Returns a function that ends it. */
export function fitted(place) {
  const fit = () => {
    for (const one of place.querySelectorAll("math")) {
      one.style.fontSize = ""
      const [wide, room] = [one.getBoundingClientRect().width, place.clientWidth]
      if (room && wide > room) one.style.fontSize = `${Math.max(LEAST, room / wide) * 99}%`
    }
  }
  const sizes = new ResizeObserver(fit)
  sizes.observe(place)
  return {fit, stop: () => sizes.disconnect()}
}

// A tree of `txpanel.toolkit.formula.mathml` as elements; text as text, an unknown element as a plain row.
export function mathml([tag, attributes, ...children]) {
  const harmless = Object.entries(attributes).filter(([name]) => !/^(on|href|src|style)/i.test(name))
  return m(
    TAGS.has(tag) ? tag : "mrow",
    Object.fromEntries(harmless.map(([name, value]) => [name, String(value)])),
    children.map((child) => (typeof child === "string" ? child : mathml(child))),
  )
}
