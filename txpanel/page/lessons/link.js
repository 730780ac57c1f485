// The address that opens the same step for others.
const WORDS = ["model", "text", "chat", "lesson", "step", "class"]
const LONG = 300 // characters of a text; with a longer one the QR code could not be read from the last row of a classroom
const OWN = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** An address with what others need of it: the model, a short text, the lesson, the class. */
export function linkOf(href, {lesson, step, code}) {
  const url = new URL(href)
  const had = url.searchParams
  const wanted = {lesson, step: code ? "" : step, class: code} // not the step of a class: the class itself knows it
  const found = new URLSearchParams()
  for (const name of WORDS) {
    const value = wanted[name] ?? had.get(name)
    if (value && !(name === "text" && value.length > LONG)) found.set(name, value)
  }
  url.hash = ""
  url.search = found.toString()
  return url.href
}

/** Whether only this computer can open the address. */
export const isOwn = (href) => OWN.test(new URL(href).hostname)
