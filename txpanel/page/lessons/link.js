// The address that opens the same step for others.
const WORDS = ["model", "text", "chat", "lesson", "step", "class"]
const LONG = 300 // characters of a text that still goes into a code that can be read from the last row
const OWN = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** Of an address what others need: the model, a short text, the lesson, the class. */
export function linkOf(href, {lesson, step, code}) {
  const url = new URL(href)
  const had = url.searchParams
  const wanted = {lesson, step: code ? "" : step, class: code} // a class says itself where it is
  const found = new URLSearchParams()
  for (const name of WORDS) {
    const value = wanted[name] ?? had.get(name)
    if (value && !(name === "text" && value.length > LONG)) found.set(name, value)
  }
  url.hash = ""
  url.search = found.toString()
  return url.href
}

/** Whether nobody but this computer can open it. */
export const isOwn = (href) => OWN.test(new URL(href).hostname)
