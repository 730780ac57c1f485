// A text that was typed and not run survives a reload: this tab keeps it, with the text that it was to replace.
const KEPT = "txpanel-typed"

const kept = () => {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {}
  } catch {
    return {} // no storage, or not ours
  }
}

// `now()` returns {text, over}, equal if nothing was typed. Kept when the page is hidden: browsers may discard a hidden page without another event.
export function keepTyped(now) {
  const keep = () => {
    const {text, over} = now()
    try {
      if (text !== over) sessionStorage.setItem(KEPT, JSON.stringify({text, over}))
      else if (kept().over === over) sessionStorage.removeItem(KEPT)
    } catch {
      // storage full, or not allowed
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

// The text that was typed to replace this one, if there is any.
export const typedOver = (over) => {
  const {text, over: before} = kept()
  return typeof text === "string" && over && before === over ? text : null
}
