// Runs that are too long for an address, in the storage of this browser; the oldest are removed when there are too many.
const KEPT = "txpanel-run-"
const KEPT_MOST = 3000000 // characters of all of them together

const keptOnes = () =>
  Object.keys(localStorage)
    .filter((key) => key.startsWith(KEPT))
    .map((key) => {
      const [time, size] = [Number.parseInt(localStorage.getItem(key), 10) || 0, localStorage.getItem(key).length]
      return {key, time, size}
    })
    .sort((a, b) => a.time - b.time)

// Returns whether it is stored now
export function keepRun({name, data}) {
  try {
    localStorage.removeItem(KEPT + name)
    const ones = keptOnes()
    let sum = ones.reduce((all, one) => all + one.size, data.length)
    const drop = () => {
      const one = ones.shift()
      sum -= one.size
      localStorage.removeItem(one.key)
    }
    while (ones.length && sum > KEPT_MOST) drop()
    for (;;) {
      try {
        localStorage.setItem(KEPT + name, `${Date.now()} ${data}`)
        return true
      } catch {
        // the storage is full or not allowed: without the oldest run, again
        if (!ones.length) return false
        drop()
      }
    }
  } catch {
    return false
  }
}

export function keptRun(name) {
  try {
    const found = localStorage.getItem(KEPT + name)
    return found === null ? null : found.slice(found.indexOf(" ") + 1)
  } catch {
    return null
  }
}
