// What a click or key asks of the server: to select something, to open a view, to send the numbers of all heads. The server decides what follows.

import {say} from "../../toolkit/page_events.js"
import {set} from "../../toolkit/patch.js"
import {isSaved, openHere} from "../../toolkit/saved_page.js"
import {scrollSmoothly} from "../../toolkit/scroller.js"
import {clamp} from "./core.js"
import {action} from "./hover.js"
import {syncOverlay} from "./overlay.js"

// Parts that are one number: a click opens its card, and the page does not scroll. For other parts it scrolls to the view that is opened.
const NUMBERS = new Set(["cell", "first", "earlier", "lane", "plus1", "plus2", "wo", "block"])

export const actions = {
  send(message) {
    this.model.send_msg(message)
  },

  // Another selection needs other numbers, which the model computes: on a saved page the selection stays.
  focus(what) {
    if (isSaved()) return this.send({type: "focus", focus: what})
    if ("layer" in what) what.layer = clamp(what.layer, 0, this.layers - 1)
    Object.assign(this.want, what)
    for (const k of ["query", "key"]) if (k in what) this.sel[k] = what[k]
    this.send({type: "focus", focus: what})
    syncOverlay(this)
    if (this.L.phone && "query" in what) this.relayout()
    this.motion.request()
  },

  // Opens the view that shows a tensor and scrolls to it, also if it is open already; does nothing where no view shows it.
  open(tensor) {
    const id = this.openable[tensor]
    if (!id) return
    if (isSaved()) openHere(id)
    else this.send({type: "open", tensor})
    this.reveal(tensor)
  },

  reveal(tensor) {
    const id = this.openable[tensor.replace(/^blocks\.\d+\./, "")]
    if (id) say(this.root, "reveal", id)
  },

  openNext(key) {
    this.send({type: "next", position: this.next.position, id: key === "rest" ? null : Number(this.next.ids[key])})
  },

  act(hit) {
    const what = action(this, hit)
    if (isSaved()) return this.send({type: "act", ...what})
    if ("window" in what) {
      this.send({type: "window", start: what.window})
      return
    }
    if (what.focus) {
      Object.assign(this.want, what.focus)
      for (const k of ["query", "key"]) if (k in what.focus) this.sel[k] = what.focus[k]
    }
    this.send({type: "act", ...what})
    if (what.open && !NUMBERS.has(hit.part)) this.reveal(what.open)
    syncOverlay(this)
    this.motion.request()
  },

  showGrid() {
    this.toggleGrid(true)
    const {panel} = this.grid
    scrollSmoothly(panel, (behavior) => panel.scrollIntoView({block: this.L.phone ? "start" : "nearest", behavior}))
  },

  toggleGrid(open) {
    if (open === this.gridOpen) return
    this.gridOpen = open
    this.grid.panel.hidden = !open
    set(this.dom.allHeads, "aria-expanded", open)
    if (open) {
      if (this.grid.parts.size < this.anatomy.of_block.filter(Boolean).length) this.send({type: "grid"})
      this.grid.draw()
    } else this.dom.allHeads.focus({preventScroll: true})
  },
}
