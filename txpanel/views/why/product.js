// One cell of a matrix product: its row, its column and the running sum of their products, to be played or stepped through.
import {h, s} from "../../toolkit/elements.js"
import {number} from "../../toolkit/numbers.js"
import {isDark, reducedMotion} from "../../toolkit/theme.js"
import {paintStrip} from "../../toolkit/vector_strips_paint.js"
import {button} from "./parts.js"

function runningSums({length, bias, factor}, row, column) {
  const sums = new Float64Array(length + 1)
  sums[0] = bias ?? 0
  for (let i = 0; i < length; i++) sums[i + 1] = sums[i] + factor * row[i] * column[i]
  return sums
}

/** The running sum as a curve: all of it faint, and solid up to the step that `upto(step)` sets. */
function chart(sums) {
  const length = sums.length - 1
  const low = Math.min(0, ...sums),
    high = Math.max(0, ...sums),
    span = high - low || 1
  const y = (v) => 66 - ((v - low) / span) * 62
  const path = (upto) => {
    const points = []
    const skip = Math.max(1, Math.floor(length / 600))
    for (let i = 0; i <= upto; i += skip) points.push(`${((i / length) * 300).toFixed(2)} ${y(sums[i]).toFixed(2)}`)
    points.push(`${((upto / length) * 300).toFixed(2)} ${y(sums[upto]).toFixed(2)}`)
    return `M${points.join("L")}`
  }
  const solid = s("path", {class: "solid"})
  const svg = s(
    "svg",
    {viewBox: "0 0 300 70", preserveAspectRatio: "none", "aria-hidden": true},
    s("path", {d: `M0 ${y(0)}H300`, class: "zero"}),
    s("path", {d: path(length), class: "faint"}),
    solid,
  )
  return {svg, upto: (step) => solid.setAttribute("d", path(step))}
}

/** slot: state that is kept when the card's element is made again. `open` is read and written; `stop` and `paint` are set, to be called before that and after a
 * change of width; `card` is the element. */
export function product({model, send}, card, c, slot) {
  const w = model.words
  const p = card.product
  const cut = ({start}) => Float32Array.from({length: p.length}, (_, i) => model.vectors[start + i])
  const [row, column] = [cut(p.row), cut(p.column)]
  const sums = runningSums(p, row, column)
  const {svg, upto} = chart(sums)
  let at = p.length,
    timer = 0

  function strip(part, values) {
    const canvas = h("canvas")
    const cursor = h("i", {class: "cursor"})
    const pick = (e) => {
      const r = box.getBoundingClientRect()
      go(Math.floor(((e.clientX - r.left) / r.width) * p.length) + 1)
    }
    const box = h("div", {class: "strip", onclick: pick}, canvas, cursor)
    return {canvas, cursor, values, scale: part.scale, line: line(part.label, box)}
  }
  const line = (label, picture) => h("div", {class: "line"}, h("span", {class: "tag"}, label), picture)
  const strips = [strip(p.row, row), strip(p.column, column)]

  const readout = h("div", {class: "readout"})
  const still = (act) => () => {
    stop()
    act()
  }
  const slider = h("input", {
    type: "range",
    min: 0,
    max: p.length,
    step: 1,
    "aria-label": w.step_of,
    oninput: still(() => go(Number(slider.value))),
  })
  const replay = still(() => {
    go(0)
    start()
  })
  const play = button("tool text", w.play, null, () => (timer ? stop() : start()))
  const controls = h(
    "div",
    {class: "controls", "data-alone": true},
    button("tool", "↺", w.replay, replay),
    button(
      "tool",
      "‹",
      w.step_back,
      still(() => go(at - 1)),
    ),
    play,
    button(
      "tool",
      "›",
      w.step_on,
      still(() => go(at + 1)),
    ),
    button(
      "tool",
      "⇥",
      w.to_end,
      still(() => go(p.length)),
    ),
    slider,
  )

  // The product of one step; a click on a factor opens its card
  function step(i) {
    const ask = (part, value) =>
      button("link", number(value), `${w.why} ${p[part].label} ${i}`, () => send({do: "cell", card: c, part, index: i}))
    const scaled = p.factor === 1 ? "" : `× ${number(p.factor)} `
    return [
      h("span", {class: "dim"}, `${w.step} ${at} / ${p.length}`),
      ask("row", row[i]),
      h("span", {class: "times"}, "×"),
      ask("column", column[i]),
      h("span", null, `${scaled}= ${number(p.factor * row[i] * column[i])}`),
      h("b", {class: "end"}, `Σ ${number(sums[at])}`),
    ]
  }

  function go(to) {
    at = Math.max(0, Math.min(p.length, to))
    slider.value = at
    upto(at)
    for (const {cursor} of strips) cursor.style.left = `${((Math.max(1, at) - 0.5) / p.length) * 100}%`
    if (at === 0) readout.replaceChildren(h("span", null, p.bias === null ? w.from_zero : `${w.from_bias} ${number(p.bias)}`))
    else readout.replaceChildren(...step(at - 1))
  }

  function start() {
    if (reducedMotion()) return go(p.length)
    if (at >= p.length) go(0)
    const begin = performance.now(),
      from = at,
      length = Math.min(6000, 1500 + p.length * 12)
    play.textContent = w.pause
    const frame = (now) => {
      const t = Math.min(1, (now - begin) / length)
      go(Math.round(from + (p.length - from) * t * t * (3 - 2 * t)))
      if (t < 1) timer = requestAnimationFrame(frame)
      else stop()
    }
    timer = requestAnimationFrame(frame)
  }

  function stop() {
    cancelAnimationFrame(timer)
    timer = 0
    play.textContent = w.play
  }

  function paint() {
    const dark = isDark(slot.card)
    for (const {canvas, values, scale} of strips) paintStrip(canvas, values, scale, dark)
  }

  const toggled = () => {
    slot.open = box.open
    if (box.open) paint()
  }
  const box = h(
    "details",
    {class: "product", open: slot.open, ontoggle: toggled},
    h("summary", null, p.title),
    h(
      "div",
      {class: "steps"},
      strips.map((each) => each.line),
      line(w.running, svg),
      readout,
      controls,
    ),
  )
  slot.stop = stop
  slot.paint = paint
  go(p.length)
  requestAnimationFrame(paint)
  return box
}
