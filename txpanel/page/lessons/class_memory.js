// What a browser tab keeps of a class: its own id in it, and the key if it leads the class. Forgotten with the tab.
const WHO = "txpanel-class-who"
const LED = "txpanel-class-led"

const read = (name) => {
  try {
    return sessionStorage.getItem(name) ?? ""
  } catch {
    return "" // a private window, or one without storage
  }
}

const write = (name, text) => {
  try {
    if (text) sessionStorage.setItem(name, text)
    else sessionStorage.removeItem(name)
  } catch {
    // as above
  }
}

let here = ""

/** The tab's id: 16 random hexadecimal digits, made once. */
export function who() {
  here ||= read(WHO)
  if (!/^[0-9a-f]{16}$/.test(here))
    here = [...crypto.getRandomValues(new Uint8Array(8))].map((one) => one.toString(16).padStart(2, "0")).join("")
  write(WHO, here)
  return here
}

/** The key of the class of that code, if it was led from this tab. */
export function keyOf(code) {
  const [of, key] = read(LED).split(" ")
  return of === code && key ? key : ""
}

export const keepKey = (code, key) => write(LED, code && key ? `${code} ${key}` : "")
