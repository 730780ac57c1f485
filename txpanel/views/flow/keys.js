// The keyboard: one tab stop per group; arrows move inside it, Enter opens, Esc closes.

import {isSaved} from "../../toolkit/saved_page.js"
import {clamp, fill, shown} from "./core.js"
import {words} from "./hover.js"
import {showSigns} from "./legend.js"
import {firstKey, lastKey} from "./pattern.js"

const STEP = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1}

// Arrows, Home and End among the buttons of a group; `chosen` is called for groups in which moving is choosing.
function roving(group, chosen) {
  group.addEventListener("keydown", (e) => {
    const list = [...group.querySelectorAll("button")]
    const at = list.indexOf(group.getRootNode().activeElement)
    const to = e.key === "Home" ? 0 : e.key === "End" ? list.length - 1 : e.key in STEP ? at + STEP[e.key] : null
    if (to === null || at < 0) return
    e.preventDefault()
    const next = list[clamp(to, 0, list.length - 1)]
    list.forEach((n) => {
      n.tabIndex = n === next ? 0 : -1
    })
    next.focus({preventScroll: false})
    chosen?.(next)
  })
}

// The pattern: up and down move the query, left and right the key; a screen reader says the cell.
function gridKeys(app) {
  const {grid, live} = app.dom
  const speak = () => {
    if (!app.hover || app.hover.part !== "cell") return
    const w = words(app, app.hover)
    live.textContent = `${w.value}. ${w.more}`
  }
  const here = () => {
    const i = clamp(app.sel.query - app.tokens.start, 0, app.L.n - 1)
    return {part: "cell", query: i, lane: i, key: clamp(app.sel.key - app.tokens.start, firstKey(app, i), lastKey(app, i))}
  }
  grid.addEventListener("focus", () => {
    app.setHover(here(), null)
    speak()
  })
  grid.addEventListener("blur", () => app.setHover(null))
  grid.addEventListener("keydown", (e) => {
    if (e.key === "Enter" || e.key === " ") {
      e.preventDefault()
      app.act(app.hover ?? here())
      return
    }
    if (!(e.key in STEP)) return
    e.preventDefault()
    const c = app.hover?.part === "cell" ? {...app.hover} : here()
    if (e.key === "ArrowUp" || e.key === "ArrowDown") c.query = clamp(c.query + STEP[e.key], 0, app.L.n - 1)
    else c.key += STEP[e.key]
    c.lane = c.query
    c.key = clamp(c.key, firstKey(app, c.query), lastKey(app, c.query))
    app.setHover(c, null)
    speak()
  })
}

function chartKeys(app) {
  const {chart, live} = app.dom
  chart.addEventListener("keydown", (e) => {
    const step = STEP[e.key]
    if (step === undefined && e.key !== "Enter") return
    e.preventDefault()
    if (e.key === "Enter") {
      app.open("resid_post")
      return
    }
    const layer = clamp((app.want.layer ?? app.block.layer) + step, 0, app.layers - 1)
    app.focus({layer})
    if (!isSaved()) live.textContent = fill(app.T.block_of, {i: layer + 1, n: app.layers})
  })
}

export function bindKeys(app) {
  const {dom, root} = app
  roving(dom.tokens, (n) => {
    app.focus({query: Number(n.dataset.token)})
    dom.live.textContent = shown(app.tokenText(Number(n.dataset.token)))
  })
  roving(dom.headRow, (n) => app.focus({head: Number(n.dataset.head)}))
  roving(dom.next)
  roving(dom.captions)
  gridKeys(app)
  chartKeys(app)
  root.addEventListener("keydown", (e) => {
    if (e.key !== "Escape") return
    if (app.guide.open) app.guide.show(false)
    else if (!app.dom.signs.hidden) showSigns(app, false)
    else if (app.motion.moving || app.motion.asked) app.motion.skip()
    else if (app.gridOpen) app.toggleGrid(false)
    else if (app.opened) app.send({type: "close"})
    else return
    e.stopPropagation()
  })
}
