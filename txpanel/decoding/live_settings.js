// Settings that a person is changing: a change in one place of a page shows at once in all of them, before the server has answered. Places of one state
// share a key. Each keeps the changed value until the server has confirmed it there, so an older answer never moves a slider back.
const PATIENCE = 3000 // milliseconds after which the server's value counts, whatever was changed
// Whether a server can have answered: a saved page has none, and a connection may be lost. Then what a person has set stays, in all places alike.
export const replies = {come: () => !globalThis.txpanelSaved}
const places = new Map() // key -> the places that are told of a change

// After the next frame, once nothing more urgent waits.
const afterFrame = (act) =>
  requestAnimationFrame(() => (globalThis.scheduler?.postTask ? scheduler.postTask(act, {priority: "background"}) : setTimeout(act)))

// moved(change, own): called with {name: value} when a setting was changed, here (own) or elsewhere. drawn(token): called with {text, p}, the token that
// the seed's number would draw now, when another place has computed it. alone: this place draws a whole answer by itself; a change made here is drawn
// here in the next frame and elsewhere after it, so that other places do not slow down a drag.
export function liveSettings(key, {moved = () => {}, drawn = () => {}, alone = false}) {
  const waiting = new Map()
  const place = {
    keep(change) {
      for (const [name, value] of Object.entries(change)) waiting.set(name, {value, at: Date.now()})
    },
    moved,
    drawn,
  }
  let later = null // what the others have not been told yet
  const newest = ([name, value]) => [name, waiting.get(name)?.value ?? value] // another place may have changed it since
  const tell = () => {
    const change = Object.fromEntries(Object.entries(later).map(newest))
    later = null
    for (const each of all) if (each !== place) each.moved(change, false)
  }
  if (!places.has(key)) places.set(key, new Set())
  const all = places.get(key)
  all.add(place)
  return {
    move: (change) => {
      for (const each of all) each.keep(change)
      if (!alone) {
        for (const each of all) each.moved(change, each === place)
        return
      }
      moved(change, true)
      if (!later) afterFrame(tell)
      later = {...later, ...change}
    },
    say: (token) => {
      for (const each of all) if (each !== place) each.drawn(token)
    },
    // Takes the server's settings: a value that they confirm need not be kept any longer.
    heard: (settings) => {
      for (const [name, one] of waiting) {
        const {value} = one
        if (!replies.come()) one.at = Date.now()
        if (Math.abs((settings[name] ?? value) - value) < 1e-9 || Date.now() - one.at > PATIENCE) waiting.delete(name)
      }
    },
    over: (settings) =>
      waiting.size ? {...settings, ...Object.fromEntries([...waiting].map(([name, {value}]) => [name, value]))} : settings,
    stop: () => {
      all.delete(place)
      if (!all.size) places.delete(key)
    },
  }
}
