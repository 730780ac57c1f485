// Print and PDF give the page as it stands: what waits until somebody looks at it is built and painted first.
import {paintAll} from "../compat/paint_queue.js"

const LONGEST = 20000 // milliseconds; then it is printed as it is
const QUIET = 1200 // for so long nothing more has to come

const lines = new Set() // of what is built when somebody looks there: {line, build}
// Whoever draws such a line says so. Returns what takes it back.
export const built = (line, build) => {
  const one = {line, build}
  lines.add(one)
  return () => lines.delete(one)
}

const open = () => [...lines].filter(({line}) => line.isConnected && !line.hidden && line.checkVisibility())

export async function whole() {
  const end = performance.now() + LONGEST
  let quiet = performance.now()
  while (performance.now() < end && performance.now() - quiet < QUIET) {
    const waits = open()
    for (const one of waits) one.build()
    if (waits.length) quiet = performance.now()
    await new Promise((done) => setTimeout(done, 50))
  }
  paintAll()
}

let asked = false
export function printWhole() {
  // The browser's menu waits for nobody: there at least all that is built is painted.
  addEventListener("beforeprint", paintAll)
  addEventListener(
    "keydown",
    async (event) => {
      if (event.key.toLowerCase() !== "p" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return
      if (!asked && !open().length) return
      event.preventDefault()
      if (asked) return
      asked = true
      await whole()
      asked = false
      print()
    },
    true,
  )
}
