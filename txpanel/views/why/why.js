// The "why this number" card: value, formula, operands, running sum of a product; up to two pinned cards beside it.
import {h, released} from "../../toolkit/elements.js"
import {fitted, mathml} from "../../toolkit/mathml.js"
import {onLook} from "../../toolkit/vector_strips_paint.js"
import {toClipboard} from "./clipboard.js"
import {closed, crumbs, feeds, head, operands, tools} from "./parts.js"
import {product} from "./product.js"

export function render({model}) {
  const live = h("p", {class: "sr", "aria-live": "polite"})
  const grid = h("div", {class: "cards"})
  const root = h("section", {class: "why", "aria-label": model.words.title}, live, grid)
  const slots = [0, 1, 2].map(() => ({card: h("article", {class: "card"}), stop: null, open: false, fed: false}))
  const send = (data) => model.send_msg(data)

  async function copy(text, button) {
    await toClipboard(text, root)
    const was = button.textContent
    button.textContent = model.words.copied
    live.textContent = `${model.words.copied}: ${text}`
    setTimeout(() => {
      button.textContent = was
    }, 1200)
  }
  const ctx = {model, send, copy}

  // A formula can have the focus, so that a long one can be scrolled by keys.
  const formula = (card, slot) => {
    const place = h("div", {class: "math", tabindex: 0, role: "group", "aria-label": model.words.formula}, mathml(card.formula))
    slot.fits?.stop()
    slot.fits = fitted(place)
    return place
  }

  function fill(slot, card, c) {
    if (slot.stop) slot.stop()
    window.dispatchEvent(new CustomEvent("tx-point", {detail: null})) // the term under the pointer is gone with the old card
    slot.stop = null
    slot.paint = null
    slot.card.replaceChildren(
      tools(ctx, card, c),
      ...(card.crumbs.length > 1 ? [crumbs(ctx, card, c)] : []),
      head(card),
      ...(card.formula ? [formula(card, slot)] : []),
      ...(card.text ? [h("p", {class: "text"}, card.text)] : []),
      ...(card.closed ? [closed(ctx, card, c)] : []),
      ...operands(ctx, card, c),
      ...(card.product ? [product(ctx, card, c, slot)] : []),
      ...feeds(ctx, card, c, slot),
    )
  }

  function keep() {
    // the control that has the focus, so that the rebuilt card can return it
    const active = root.getRootNode().activeElement
    const slot = slots.find((each) => active && each.card.contains(active))
    return slot ? {slot, name: active.getAttribute("aria-label") || active.textContent} : null
  }

  function build() {
    const focused = keep()
    const {cards, words} = model
    grid.className = `cards n${cards.length}`
    if (!cards.length) {
      grid.replaceChildren(h("div", {class: "empty"}, h("h3", null, words.title), h("p", null, words.empty)))
      return
    }
    cards.forEach((card, c) => fill(slots[c], card, c))
    grid.replaceChildren(...slots.slice(0, cards.length).map((slot) => slot.card))
    live.textContent = `${cards[0].title || cards[0].name} = ${cards[0].say}`
    if (focused) {
      const again = [...focused.slot.card.querySelectorAll("button")].find(
        (b) => (b.getAttribute("aria-label") || b.textContent) === focused.name && !b.disabled,
      )
      if (again && grid.contains(again)) again.focus({preventScroll: true})
      else {
        slots[0].card.tabIndex = -1
        slots[0].card.focus({preventScroll: true})
      }
    }
  }

  root.addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !model.cards.length) return
    e.preventDefault() // Esc closes only this card
    e.stopPropagation()
    send({do: "close"})
  })
  build()
  model.on("version", () => requestAnimationFrame(() => released(root, build))) // the other params of the same update are there by then
  const off = onLook(root, () => slots.forEach((slot) => slot.paint?.()))
  model.on("remove", () => {
    off()
    slots.forEach((slot) => {
      slot.stop?.()
      slot.fits?.stop()
    })
  })
  return root
}
