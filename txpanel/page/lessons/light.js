// The highlight: the parts that a step explains stay bright, all else is dimmed; everything can still be clicked. The page is scrolled until they can be
// seen, and the box stands where it covers least of them.
import {h, s} from "../../toolkit/elements.js"
import {places} from "../../toolkit/page_parts.js"
import {set} from "../../toolkit/patch.js"
import {above} from "../connection/state.js"
import {intoSight, toTop} from "./sight.js"
import {bestSpot, hole} from "./spots.js"

const EVERY = 120 // ms between two checks of where the parts are: they move when a view is built, a text grows, or the picture is animated
const SETTLED = 500 // ms after which the page stands in its new width
const AIR = 8
const IN_BAR = new Set(["prompt", "model", "generate", "undo"]) // parts of the top bar, which scrolls away: they are reached by scrolling to the top

export class Light {
  constructor(view, box, mark) {
    this.view = view
    this.box = box
    this.mark = mark
    this.dim = s("path", {class: "dim", "fill-rule": "evenodd"})
    this.rings = s("g")
    this.svg = s("svg", {class: "spotlight", "aria-hidden": "true"}, this.dim, this.rings)
    this.veils = h("div", {class: "veils"})
    this.root = h("div", {hidden: true}, this.svg, this.veils)
    this.narrow = matchMedia("(max-width:700px)")
    this.look = () => this.draw()
    this.lit = []
    this.hidden = []
  }

  /** came: whether this is another step than before. brings: whether the page may be scrolled to its parts. */
  on(lit, hidden, came, brings) {
    this.lit = lit
    this.hidden = hidden.includes("next") ? [...hidden, "drawn"] : hidden // the suggestion after the prompt shows a token of the list
    if (!this.timer) {
      this.timer = setInterval(this.look, EVERY)
      for (const kind of ["scroll", "resize"]) addEventListener(kind, this.look, {capture: true, passive: true})
    }
    this.root.hidden = false
    if (came) {
      this.width = innerWidth
      this.spot = null
      this.until = performance.now() + 2500 // a part may still be built or downloaded
      this.bring = brings
    }
    this.draw()
  }

  off() {
    clearInterval(this.timer)
    this.timer = null
    for (const kind of ["scroll", "resize"]) removeEventListener(kind, this.look, {capture: true})
    this.root.hidden = true
    this.key = ""
  }

  stop() {
    this.off()
  }

  place() {
    this.spot = null
    this.key = ""
    if (this.timer) this.draw()
  }

  draw() {
    if (this.root.hidden) return
    const boxes = this.lit.flatMap((name) => places(this.view, name))
    const card = places(this.view, "card").filter((box) => box.top < innerHeight && box.bottom > 0) // a card that was opened stays bright
    const covered = this.hidden.flatMap((name) => places(this.view, name))
    this.turned()
    if (performance.now() > this.until) this.bring = false
    if (this.bring && boxes.length) {
      this.bring = false
      this.move(boxes)
    }
    const tall = this.box.offsetHeight
    const key = JSON.stringify([boxes, card, covered, innerWidth, innerHeight, tall, this.narrow.matches])
    if (key === this.key) return
    this.key = key
    const [W, H] = [innerWidth, innerHeight]
    set(this.svg, "width", W)
    set(this.svg, "height", H)
    const holes = boxes.map((box) => hole(box, AIR))
    const bright = [...holes, ...(this.lit.includes("card") ? [] : card.map((box) => hole(box, 0)))]
    set(this.dim, "d", boxes.length ? `M0 0H${W}V${H}H0Z${bright.join("")}` : "")
    this.rings.replaceChildren(...holes.map((d) => s("path", {class: "ring", d})))
    this.veils.replaceChildren(
      ...covered.map(({left, top, right, bottom}) =>
        h("div", {style: {left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px`}}, this.mark),
      ),
    )
    this.stand([...boxes, ...card])
  }

  // In another width everything stands elsewhere: what is lit is brought into sight again, where all else is dim.
  turned() {
    const now = performance.now()
    if (this.width !== innerWidth) this.settles = now + SETTLED
    this.width = innerWidth
    if (!this.settles || now < this.settles) return
    this.settles = 0
    this.bring = true
    this.until = now + SETTLED
  }

  // On a phone the box is at the lower edge; else where it covers least, and it only moves to a place that is better.
  stand(boxes) {
    const {box} = this
    box.classList.toggle("low", this.narrow.matches)
    if (this.narrow.matches) {
      box.style.removeProperty("left")
      box.style.removeProperty("top")
      return
    }
    const room = {left: 16, top: Math.max(8, above.bottom?.() ?? 0) + 8, right: innerWidth - 16, bottom: innerHeight - 16}
    this.spot = bestSpot({w: box.offsetWidth, h: box.offsetHeight}, room, boxes, this.spot)
    box.style.left = `${Math.round(this.spot.x)}px`
    box.style.top = `${Math.round(this.spot.y)}px`
  }

  move(boxes) {
    if (this.lit.some((name) => IN_BAR.has(name))) return toTop(this.view.el)
    intoSight(this.view.el, boxes, this.narrow.matches ? this.box.offsetHeight : 0)
  }
}
