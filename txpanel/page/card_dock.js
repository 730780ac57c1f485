// Keeps the card "why this number" in sight: its place is beside the unfolded view, and as long as that is below the screen it lies over the
// page, where it covers neither what was clicked nor what has to stay readable (card_spot.js). A view that a click has opened comes into sight.
import {released} from "../toolkit/elements.js"
import {keptClear} from "../toolkit/keep_clear.js"
import {hear} from "../toolkit/page_events.js"
import {offer} from "../toolkit/page_parts.js"
import {scrollSmoothly} from "../toolkit/scroller.js"
import {spot} from "./card_spot.js"
import {above} from "./connection/state.js"

export function render({model, view, el}) {
  el.style.display = "none"
  const narrow = matchMedia("(max-width:1100px)")
  const place = () => view.parent?.el
  const card = () => view.el.nextElementSibling
  const now = () => performance.now()
  let clicked = {x: 0, y: 0, at: -Infinity}
  let laid = "" // the question and the size for which the card's place was chosen
  let asked = -Infinity
  let frame = 0
  let wanted = {id: "", at: -Infinity} // the view that was asked for by its name: it is scrolled to, whatever else the click did

  const put = () => {
    frame = 0
    if (!model.asked || !card() || !place()) return
    const box = place().getBoundingClientRect()
    const height = Math.min(card().scrollHeight, innerHeight * 0.62)
    const several = card().toggleAttribute("data-several", model.cards > 1) // beside the view there is room for one card only
    const below = !narrow.matches && (several || box.top + height > innerHeight - 16)
    if (!below) return lift()
    const lies = `${model.asked} ${Math.round(height / 40)} ${several} ${innerWidth} ${innerHeight}`
    if (lies === laid) return
    laid = lies
    const width = several ? Math.min(832, innerWidth - 48) : 400
    const right = Math.min(innerWidth - 16, box.right || innerWidth)
    const hand =
      now() - clicked.at < 8000 ? {left: clicked.x - 34, right: clicked.x + 34, top: clicked.y - 24, bottom: clicked.y + 24} : null
    const {x, y, h} = spot({width, height, clicked: hand, clear: keptClear(), top: Math.max(0, above.bottom?.() ?? 0), right})
    card().dataset.dock = x + width / 2 > innerWidth / 2 ? "right" : "left"
    for (const [name, value] of [
      ["--tx-x", x],
      ["--tx-y", y],
      ["--tx-h", h],
    ])
      card().style.setProperty(name, `${Math.round(value)}px`)
  }
  const lift = () => {
    laid = ""
    delete card().dataset.dock
    card().style.removeProperty("--tx-h")
  }
  const still = () => released(document.documentElement, put) // nothing moves, or covers anything, while a button is pressed
  const soon = () => {
    if (!frame) frame = requestAnimationFrame(still)
  }

  const leaf = () => place()?.previousElementSibling // the view
  const reveal = (click) => {
    const {top} = leaf().getBoundingClientRect()
    const named = wanted.id === model.opened && now() - wanted.at < 8000
    // if the same click has asked about a number, the card comes instead
    if (!named && asked >= click) return
    if (matchMedia("(min-width:641px)").matches && (top > innerHeight * 0.62 || (named && top < 0)))
      released(document.documentElement, () => {
        if (leaf()) scrollSmoothly(leaf(), (behavior) => leaf().scrollIntoView({block: "start", behavior}))
      })
  }
  const opened = () => {
    if (!model.opened || !leaf() || now() - clicked.at > 8000) return
    leaf().style.scrollMarginTop = "calc(55vh - 120px)" // so much of the flow stays in sight above it
    const click = clicked.at
    const grows = new ResizeObserver(() => reveal(click)) // a view that is being built is not tall enough yet
    const begin = setTimeout(() => grows.observe(leaf()), 150) // the answer to the same click may come a little later
    const stop = () => {
      grows.disconnect()
      clearTimeout(begin)
    }
    setTimeout(stop, 6000)
    for (const kind of ["wheel", "pointerdown", "keydown"]) addEventListener(kind, stop, {once: true, passive: true})
  }

  const hand = (event) => {
    const from = event.composedPath()[0]
    const box = from.getBoundingClientRect?.()
    const [x, y] = [event.clientX || (box ? box.left + box.width / 2 : 0), event.clientY || (box ? box.top + box.height / 2 : 0)]
    if (!event.composedPath().includes(card())) clicked = {x, y, at: now()}
  }
  const offered = offer(view, {card: () => (model.asked ? card() : null)})
  const unheard = hear("reveal", view, (id) => {
    wanted = {id, at: now()}
    clicked.at = now()
    if (id === model.opened) opened()
  })
  const changes = new ResizeObserver(soon)
  const listeners = [
    [window, "click", hand],
    [window, "resize", soon],
  ]
  for (let at = view.el; at; at = at.host) {
    // in each shadow root around: a scroll event does not leave it
    at = at.getRootNode()
    listeners.push([at, "scroll", soon])
  }
  for (const [where, kind, act] of listeners) where.addEventListener(kind, act, {capture: true, passive: true})
  model.on("cards", soon)
  model.on("asked", () => {
    changes.disconnect()
    if (model.asked) asked = now() // not when a card is closed: then a view that is opened next is scrolled to
    // also its content, which may still grow when the card has its largest size
    if (model.asked && card()) for (const box of [card(), ...(card().shadowRoot?.children ?? [])]) changes.observe(box)
    if (!model.asked && card()) lift() // so that the next card gets a new place
    card()?.scrollTo(0, 0)
    still()
    soon()
  })
  model.on("opened", opened)
  model.on("remove", () => {
    changes.disconnect()
    unheard()
    offered()
    for (const [where, kind, act] of listeners) where.removeEventListener(kind, act, {capture: true})
  })
}
