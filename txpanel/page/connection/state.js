// Whether the server is connected, for all parts of the page; and what a page hands over to the one that is loaded in its place.

const KEPT = "txpanel-kept"
// Upper and lower edge of the top bar, in pixels: the connection's bar is drawn over its first line or below it, not over the prompt.
export const above = {top: () => 0, bottom: () => 0}

const listeners = new Set()
const leavers = new Set()
const waiting = new Set()
let state = "open"

// "open", "silent" (no answer), "lost", "gone" (the server does not have the session any more).
export const connectionState = () => state
export const away = () => state !== "open"

export function onConnection(hear) {
  listeners.add(hear)
  return () => listeners.delete(hear)
}

export function setConnection(now) {
  state = now
  tellAll()
}
const tellAll = () => {
  for (const hear of listeners) hear(state)
}

// A text was sent that the server has not received yet: what the page shows belongs to an earlier one.
export function setWaiting(who, on) {
  if (waiting.has(who) === on) return
  if (on) waiting.add(who)
  else waiting.delete(who)
  tellAll()
}
export const behind = () => away() && waiting.size > 0

// Before the page is loaded again, `give` returns what should be there afterwards: {typed, text, words}; words: parts of the address.
export const onLeave = (give) => {
  leavers.add(give)
  return () => leavers.delete(give)
}

export function leave(more) {
  const all = Object.assign({}, ...[...leavers].map((give) => give() ?? {}))
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({...all, ...more, words: undefined}))
  } catch {
    // no storage here: only the address can carry something over
  }
  return all
}

let found = null
// What the page before this one has handed over; it is read and removed once.
export function handedOver() {
  if (found) return found
  try {
    found = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") ?? {}
    sessionStorage.removeItem(KEPT)
  } catch {
    found = {}
  }
  return found
}
