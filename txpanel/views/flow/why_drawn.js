// Why this next token: a sentence under the bars and the settings, with a link to the whole draw. It follows a slider while it is dragged.
import {h} from "../../toolkit/elements.js"
import {patch, v} from "../../toolkit/patch.js"
import {quoted} from "./core.js"

const LONGEST = 16 // characters of a token: a longer one would need another line
const [FEW, MOST] = [3, 6] // digits of the numbers: as many as show that one lies between the two others

export const whyDrawnIn = (app, T) =>
  h(
    "p",
    {class: "whydrawn"},
    h("span"),
    " ",
    h("button", {type: "button", "data-alone": "saved", onclick: () => app().open("draw")}, T.see_draw),
  )

// The sentence and its values; null where nothing is drawn.
function said(T, {came, draw, sampled, strings, settings}) {
  if (came?.how === "text") return [T.came_text, came]
  if (came?.how === "hand") return [T.came_by_hand, came]
  const token = sampled >= 0 ? strings[sampled] : ""
  const greedy = came?.how === "greedy" && settings.temperature !== 0 // then it was not drawn, even if these settings would draw it
  if (came?.how && (greedy || came.token !== token)) return [came.how === "greedy" ? T.came_greedy : T.came_drawn, came] // drawn with earlier settings
  if (!draw) return null
  if (settings.temperature === 0) return [T.draw_greedy, {token}]
  if (draw.kept === 1) return [T.draw_only, {token}]
  return [T.draw, {token, seed: settings.seed, uniform: settings.uniform, low: draw.low, high: draw.high}]
}

const short = (token) => {
  const letters = [...quoted(token)]
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join("")}…` : letters.join("")
}

/** Numbers from 0 to 1 with the same digits, few, but enough to be told apart. */
export function apart(numbers) {
  for (let digits = FEW; ; digits++) {
    const texts = numbers.map((x) => (x === 0 || x === 1 ? String(x) : x.toFixed(digits)))
    if (digits === MOST || new Set(texts.map(Number)).size === numbers.length) return texts // 0 and "0.000" are the same number
  }
}

/** The sentence in pieces, for `patch`; null where nothing is drawn. */
export function sentence(T, next) {
  const [text, facts] = said(T, next) ?? []
  if (!text) return null
  const [low, u, high] = "uniform" in facts ? apart([facts.low, facts.uniform, facts.high]) : []
  const values = {token: v("b", null, short(facts.token)), seed: facts.seed, u, low, high}
  return text.split(/\{(\w+)\}/).map((part, i) => (i % 2 ? values[part] : part))
}

export function whyDrawn({dom, T, next, openable}) {
  const parts = sentence(T, next)
  const [words, link] = dom.whyDrawn.children
  patch(words, parts)
  link.hidden = !parts || !openable.draw
}
