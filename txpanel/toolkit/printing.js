// Print and PDF give the page as it stands: what waits until somebody looks at it is built and painted first.
import {paintAll} from "../compat/paint_queue.js"
import {isDark} from "./theme.js"

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

// Paper is white and as wide as it is. Pictures cannot be laid out and painted anew while the browser prints: the page keeps the width of its window
// and is made smaller as a whole, and what is painted for the dark is turned over, which leaves its hues.
const WIDEST = 1440 // pixels; a browser makes a page half as large at most, and upright paper is 720 pixels wide
const TURNED = "invert(1) hue-rotate(180deg) brightness(1.06)"
const PAPER = 1060 // pixels: the width of landscape paper where nothing is made smaller
const TALL = 0.66 // of its width is the height of a landscape page: A4 less its margins (Letter is higher)
const SMALLEST = 0.45 // a card may be made so much smaller to stand on one page
const TABS = 60 // pixels of the row of tabs above the first of them
const GAP = 18 // pixels between two cards

function* found(what, root = document) {
  for (const node of root.querySelectorAll("*")) {
    if (node.matches(what)) yield node
    if (node.shadowRoot) yield* found(what, node.shadowRoot)
  }
}

// A browser cuts a picture where a page ends, or moves it without what stands below. So each card stands on one page: on the next one if it has no room.
function onPages() {
  const page = Math.max(innerWidth, PAPER) * TALL
  const cards = [...found(".tx-card")].filter((card) => card.offsetHeight && card.checkVisibility())
  let used = TABS
  for (const card of cards) {
    const zoom = Math.max(SMALLEST, Math.min(1, (page - (card === cards[0] ? TABS : 0)) / card.offsetHeight))
    const height = card.offsetHeight * zoom + GAP
    if (zoom < 1) card.style.zoom = zoom
    if (card !== cards[0] && used + height > page) {
      card.style.breakBefore = "page"
      used = 0
    }
    used += height
  }
  return () => {
    for (const card of cards) card.style.zoom = card.style.breakBefore = ""
  }
}

function forPaper() {
  paintAll()
  const {style} = document.documentElement
  style.setProperty("--tx-paper-width", `${innerWidth}px`)
  style.setProperty("--tx-paper-zoom", Math.min(1, WIDEST / innerWidth))
  const together = onPages()
  const dark = [...found("canvas")].filter((canvas) => isDark(canvas.parentElement ?? canvas.getRootNode().host))
  for (const canvas of dark) canvas.style.filter = TURNED
  addEventListener(
    "afterprint",
    () => {
      together()
      style.removeProperty("--tx-paper-width")
      style.removeProperty("--tx-paper-zoom")
      for (const canvas of dark) canvas.style.filter = ""
    },
    {once: true},
  )
}

let asked = false
export function printWhole() {
  // The browser's menu waits for nobody: there at least all that is built is painted.
  addEventListener("beforeprint", forPaper)
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
