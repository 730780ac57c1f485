// The parts of this picture that a lesson can highlight: each by its name, as boxes in pixels of the window.

import {hear, say} from "../../toolkit/page_events.js"
import {offer} from "../../toolkit/page_parts.js"
import {laneY} from "./layout.js"
import {PART_ENDS} from "./motion.js"

const OUTSIDE = 8 // pixels between a part and the edge of its highlight (page/lessons/light.js)

function parts(app) {
  const {dom, canvas} = app
  const box = (x, r, y, b) => {
    const {left, top} = canvas.getBoundingClientRect()
    return {left: left + x, right: left + r, top: top + y, bottom: top + b}
  }
  // No edge cuts a name under the lanes: a part begins before the name of its norm, and ends above the names where that of the next part reaches into it.
  const edges = (x, r) => {
    const names = [...dom.captions.children].filter((one) => one.dataset.part !== "mlp").map((one) => one.getBoundingClientRect())
    const {left} = canvas.getBoundingClientRect()
    const [from, to] = [x + left - OUTSIDE, r + left + OUTSIDE]
    const cut = (edge) => names.find((name) => name.width && name.left - 2 < edge && edge < name.right + 2)
    const first = cut(from)
    return {x: first ? first.left - 2 - left + OUTSIDE : x, above: Boolean(cut(to))}
  }
  const under = (L) => L.bottom + Math.max(18, L.gap * 0.5) + (L.dense ? 26 : 14) // the names of the parts, under the lanes, included
  // a column of all lanes; on a phone a row of them. air: pixels added left and right, over: pixels above the first lane
  const column =
    (from, to, phone, {air = 0, over} = {}) =>
    () => {
      const {L} = app
      if (!L || !app.block) return null
      if (L.phone) return phone ? box(6, L.W - 6, ...phone(L.y)) : null
      const [a, b] = [L.at[from], L.at[to]]
      if (!a?.w || !b) return null
      const {x, above} = edges(a.x - air, b.r + air)
      const bottom = above ? L.bottom + Math.max(18, L.gap * 0.5) - OUTSIDE : under(L)
      return box(x, b.r + air, laneY(L, 0) - (over ?? Math.max(34, L.gap * 0.7)), bottom)
    }
  const shown =
    (...elements) =>
    () =>
      elements.filter((one) => one.offsetParent !== null || one.getClientRects().length)
  const opened = (find) => () => (app.block?.anatomy.mixer === "open" ? find() : null)
  return {
    tokens: () => [...dom.tokens.children],
    embedding: column("embed", "embed", (y) => [y.embedding - 8, y.embed + 34]),
    lanes: column("embed", "blocks", (y) => [y.embed + 10, y.frameEnd]),
    qkv: opened(column("qkv", "qkv", (y) => [y.norm - 6, y.qkv + 78])),
    attention: opened(column("mat", "mat", (y) => [y.cells - 34, y.cells + 34], {air: 8})),
    values: opened(column("share", "plus1", (y) => [y.z - 18, y.plus1 + 14], {over: 20})),
    mlp: column("mlp", "plus2", (y) => [y.mlpHead - 4, y.plus2 + 22]),
    plus: column("plus1", "plus1", (y) => [y.plus1 - 18, y.plus1 + 18]),
    heads: opened(() => {
      const {L} = app
      if (!L) return null
      if (L.phone) return box(6, L.W - 6, L.y.thumbs - 34, L.y.frameEnd)
      return box(L.box.x, L.box.r, L.headsY - 24, L.boxBottom)
    }),
    blocks: () => {
      const {L} = app
      if (!L || !app.block || app.layers < 2) return null
      if (L.phone) return box(6, L.W - 6, L.y.blocks - 30, L.y.end - 18)
      return box(L.at.blocks.x - 6, L.at.blocks.r + 6, L.top - 4, under(L))
    },
    next: () => [...dom.next.children],
    temperature: shown(dom.settings),
    play: shown(dom.play),
  }
}

/** Tells the page which part ▶ Play has come to. Returns whether something there explains it. */
export const speaks = (root) => (part) => say(root, "playing", part)

/** Registers the parts, and plays up to the part that a lesson explains. Returns functions that end both. */
export const forLessons = (app) => [offer(app.view, parts(app)), hear("playto", app.view, (name) => app.motion.showTo(PART_ENDS[name]))]

/** A person has gone on to the next part. */
export function stepped(app) {
  app.motion.step()
  say(app.root, "played")
}
