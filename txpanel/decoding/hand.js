// Settings under a hand: what is moved in one place of a page shows in all of them at once, before the server has heard of it. Places of one state share
// a key. Each keeps what was moved until the server has said the same to it, so an older answer never moves a slider back.
const PATIENCE = 3000 // milliseconds after which the server's word counts, whatever was moved
const places = new Map() // key -> the places that hear of a move

// moved(change, own): a setting was moved, here (own) or elsewhere, as {name: value}. drawn(token): what falls to the number of the seed now, as
// {text, p}, from whoever has worked it out.
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
    // The server's settings: what they confirm waits no longer.
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
