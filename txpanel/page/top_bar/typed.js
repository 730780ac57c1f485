// What somebody has typed and not run goes over a reload: this tab keeps it, with the text that it was typed over.
const KEPT = "txpanel-typed"

const kept = () => {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {}
  } catch {
    return {} // not allowed here, or not ours
  }
}

// `now()` says {text, over}, both the same when nothing waits to be run. A page that is hidden may be thrown away without another word.
export function keepTyped(now) {
  const keep = () => {
    const {text, over} = now()
    try {
      if (text !== over) sessionStorage.setItem(KEPT, JSON.stringify({text, over}))
      else if (kept().over === over) sessionStorage.removeItem(KEPT)
    } catch {
      // no room, or not allowed here
    }
  }
  const hidden = () => document.hidden && keep()
  addEventListener("pagehide", keep)
  document.addEventListener("visibilitychange", hidden)
  return () => {
    removeEventListener("pagehide", keep)
    document.removeEventListener("visibilitychange", hidden)
  }
}

// What was typed over a text, if it was.
export const typedOver = (over) => {
  const {text, over: before} = kept()
  return typeof text === "string" && over && before === over ? text : null
}
