// Print and PDF give the whole page: parts that are built only when they come into sight are built and painted first.
import {paintAll} from "../compat/paint_queue.js"
import {isDark} from "./theme.js"

const LONGEST = 20000 // milliseconds; then it is printed as it is
const QUIET = 1200 // milliseconds without a further part: then all are there

const lines = new Set() // waiting lines of parts that are built when they come into sight: {line, build}
// Registers such a line. Returns a function that removes it.
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

// Pictures cannot be laid out and painted again while the browser prints: the page keeps the width of its window and is scaled down as a whole. For a
// window narrower than paper the sheet is as narrow as the window, in the proportions of paper: printers and PDF readers scale it up. What is painted in
// dark colours is inverted, with its hues turned back.
const WIDEST = 1440 // pixels; browsers scale a page down to one half at most
const TURNED = "invert(1) hue-rotate(180deg) brightness(1.06)"
const NARROW = 600 // pixels: for narrower windows the paper is upright
const LANDSCAPE = {wide: 1060, tall: 0.66} // width in pixels at full size, and height divided by width: A4 less its margins (Letter is higher)
const UPRIGHT = {wide: 720, tall: 1.38}
const EDGE = 12 // pixels around the page on a narrow sheet
const SMALLEST = 0.75 // a card is scaled down to this at most to stand on one page; a taller one continues on the next page, between two pictures
const TABS = 60 // pixels of the row of tabs above the first of them
const GAP = 18 // pixels between two cards

const paper = () => (innerWidth < NARROW ? UPRIGHT : LANDSCAPE)

function* found(what, root = document) {
  for (const node of root.querySelectorAll("*")) {
    if (node.matches(what)) yield node
    if (node.shadowRoot) yield* found(what, node.shadowRoot)
  }
}

// The pictures of a card in rows, those side by side together, and where each row begins, measured from the card's top.
function rows(card) {
  const zero = card.getBoundingClientRect().top
  const list = []
  for (const picture of found(".tx-picture", card.shadowRoot ?? card)) {
    if (!picture.offsetHeight || !picture.checkVisibility()) continue
    const at = picture.getBoundingClientRect().top - zero
    if (list.length && at < list.at(-1).at + 8) list.at(-1).pictures.push(picture)
    else list.push({at, pictures: [picture]})
  }
  return list
}

// A browser cuts a picture where a page ends, or moves it without what stands below. So each card stands on one page, on the next one if it has no room;
// of a card that is taller each row of pictures does.
function onPages() {
  const page = innerWidth * paper().tall
  const cards = [...found(".tx-card")].filter((card) => card.offsetHeight && card.checkVisibility())
  const touched = []
  const change = (node, name, value) => {
    node.style[name] = value
    touched.push([node, name])
  }
  let used = TABS
  for (const card of cards) {
    const first = card === cards[0]
    const zoom = Math.min(1, (page - (first ? TABS : 0)) / card.offsetHeight)
    const height = card.offsetHeight * (zoom < SMALLEST ? 1 : zoom) + GAP
    if (!first && used + Math.min(height, page / 2) > page) {
      change(card, "breakBefore", "page")
      used = 0
    }
    if (zoom >= SMALLEST) {
      if (zoom < 1) change(card, "zoom", zoom)
      if (!first && used && used + height > page) {
        change(card, "breakBefore", "page")
        used = 0
      }
      used += height
      continue
    }
    const list = rows(card)
    if (list.length) used += list[0].at
    list.forEach(({at, pictures}, i) => {
      const tall = (list[i + 1]?.at ?? card.offsetHeight) - at
      if ((i || tall < page) && used + tall > page) {
        for (const picture of pictures) change(picture, "breakBefore", "page")
        used = 0
      }
      used += tall
    })
    if (!list.length) used += height
    used %= page
  }
  return () => {
    for (const [node, name] of touched) node.style[name] = ""
  }
}

function forPaper() {
  paintAll()
  const {style} = document.documentElement
  const {wide, tall} = paper()
  style.setProperty("--tx-paper-width", `${innerWidth}px`)
  style.setProperty("--tx-paper-zoom", Math.min(1, WIDEST / innerWidth))
  const narrow = new CSSStyleSheet()
  if (innerWidth < wide) {
    narrow.replaceSync(`@page{size:${innerWidth + 2 * EDGE}px ${Math.round(innerWidth * tall) + 2 * EDGE}px;margin:${EDGE}px}`)
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, narrow]
  }
  const together = onPages()
  const dark = [...found("canvas")].filter((canvas) => isDark(canvas.parentElement ?? canvas.getRootNode().host))
  for (const canvas of dark) canvas.style.filter = TURNED
  addEventListener(
    "afterprint",
    () => {
      together()
      document.adoptedStyleSheets = [...document.adoptedStyleSheets].filter((sheet) => sheet !== narrow)
      style.removeProperty("--tx-paper-width")
      style.removeProperty("--tx-paper-zoom")
      for (const canvas of dark) canvas.style.filter = ""
    },
    {once: true},
  )
}

let asked = false
export function printWhole() {
  // The browser's own menu does not wait for parts to be built; those that are built are painted.
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
