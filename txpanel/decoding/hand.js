// Settings that a person is changing: a change in one place of a page shows at once in all of them, before the server has answered. Places of one state
// share a key. Each keeps the changed value until the server has confirmed it there, so an older answer never moves a slider back.
const PATIENCE = 3000 // milliseconds after which the server's value counts, whatever was changed
const places = new Map() // key -> the places that are told of a change

// moved(change, own): called with {name: value} when a setting was changed, here (own) or elsewhere. drawn(token): called with {text, p}, the token that
// the seed's number would draw now, when another place has computed it.
export function hand(key, {moved = () => {}, drawn = () => {}}) {
  const waiting = new Map()
  const place = {
    take(change, own) {
      for (const [name, value] of Object.entries(change)) waiting.set(name, {value, at: Date.now()})
      moved(change, own)
    },
    drawn,
  }
  if (!places.has(key)) places.set(key, new Set())
  const all = places.get(key)
  all.add(place)
  return {
    move: (change) => {
      for (const each of all) each.take(change, each === place)
    },
    say: (token) => {
      for (const each of all) if (each !== place) each.drawn(token)
    },
    // Takes the server's settings: a value that they confirm need not be kept any longer.
    heard: (settings) => {
      for (const [name, {value, at}] of waiting)
        if (Math.abs((settings[name] ?? value) - value) < 1e-9 || Date.now() - at > PATIENCE) waiting.delete(name)
    },
    over: (settings) =>
      waiting.size ? {...settings, ...Object.fromEntries([...waiting].map(([name, {value}]) => [name, value]))} : settings,
    stop: () => {
      all.delete(place)
      if (!all.size) places.delete(key)
    },
  }
}
