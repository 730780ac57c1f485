// Keeps the card "why this number" in sight: its place is beside the unfolded view, and as long as that is below the screen it lies in the
// screen's lower corner, on the side where nobody has just clicked. A view that a click has opened comes into sight.
import {released} from "../toolkit/elements.js"
import {reducedMotion} from "../toolkit/theme.js"

export function render({model, view, el}) {
  el.style.display = "none"
  const narrow = matchMedia("(max-width:1100px)")
  const place = () => view.parent?.el
  const card = () => view.el.nextElementSibling
  const now = () => performance.now()
  let clicked = {x: 0, at: -Infinity}
  let asked = -Infinity
  let frame = 0

  const put = () => {
    frame = 0
    if (!model.asked || !card() || !place()) return
    const box = place().getBoundingClientRect()
    const height = Math.min(card().scrollHeight, innerHeight * 0.62)
    const several = card().toggleAttribute("data-several", model.cards > 1) // side by side: beside the view there is room for one
    const below = !narrow.matches && (several || box.top + height > innerHeight - 16)
    const side = below ? (clicked.x > innerWidth * 0.6 ? "left" : "right") : null
    if (side) card().dataset.dock = side
    else delete card().dataset.dock
    card().style.setProperty("--tx-edge", `${Math.max(16, innerWidth - box.right)}px`)
  }
  const still = () => (card() ? released(card(), put) : put()) // nothing moves under a finger
  const soon = () => {
    if (!frame) frame = requestAnimationFrame(still)
  }

  const leaf = () => place()?.parentElement?.previousElementSibling?.firstElementChild // the view; a FlexBox wraps each of its children
  const reveal = () => {
    const top = leaf().getBoundingClientRect().top
    if (now() - asked > 1000 && matchMedia("(min-width:641px)").matches && top > innerHeight * 0.62)
      leaf().scrollIntoView({block: "start", behavior: reducedMotion() ? "auto" : "smooth"})
  }
  const opened = () => {
    if (!model.opened || !leaf() || now() - clicked.at > 8000) return
    leaf().style.scrollMarginTop = "calc(55vh - 120px)" // as much of the flow stays in sight
    const grows = new ResizeObserver(reveal) // a view that is being built is not tall enough yet
    const begin = setTimeout(() => grows.observe(leaf()), 150) // if the same click has asked, the card comes instead
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
    clicked = {x: event.clientX || (box ? box.left + box.width / 2 : 0), at: now()}
  }
  const changes = new ResizeObserver(soon)
  const heard = [
    [window, "click", hand],
    [window, "resize", soon],
  ]
  for (let at = view.el; at; at = at.host) {
    // whatever scrolls: that event does not leave a shadow root
    at = at.getRootNode()
    heard.push([at, "scroll", soon])
  }
  for (const [where, kind, act] of heard) where.addEventListener(kind, act, {capture: true, passive: true})
  model.on("cards", soon)
  model.on("asked", () => {
    changes.disconnect()
    if (model.asked) asked = now() // not when a card is taken away: the view that is opened next comes into sight
    if (model.asked && card()) changes.observe(card())
    card()?.scrollTo(0, 0)
    still()
    soon()
  })
  model.on("opened", opened)
  model.on("remove", () => {
    changes.disconnect()
    for (const [where, kind, act] of heard) where.removeEventListener(kind, act, {capture: true})
  })
}
