// The knobs, in the order of the stages, and ready-made settings. `bench` is what sampling.js hands to each part.
import {h} from "../../toolkit/elements.js"
import {percent} from "../../toolkit/numbers.js"
import {KNOBS, OFF, plain} from "./pipeline.js"

const DIALS = [
  {key: "repetition_penalty", min: 0.5, max: 2, step: 0.05, most: 1000},
  {key: "no_repeat_ngram_size", min: 0, max: 6, step: 1, most: 1e7, whole: true},
  {key: "temperature", min: 0, max: 2, step: 0.05, most: 100},
  {key: "top_k", min: 0, max: 100, step: 1, most: 1e7, whole: true},
  {key: "top_p", min: 0, max: 1, step: 0.01, most: 1},
  {key: "min_p", min: 0, max: 0.5, step: 0.01, most: 1},
  {key: "typical_p", min: 0.01, max: 1, step: 0.01, most: 1},
]

function dial(bench, d) {
  const {w} = bench
  const id = `dial-${d.key}`
  const range = h("input", {type: "range", id, min: d.min, max: d.max, step: d.step, "aria-describedby": `${id}-note`})
  const box = h("input", {type: "number", class: "exact", min: 0, step: "any", "aria-label": w[d.key]})
  const note = h("p", {class: "note", id: `${id}-note`})
  const set = (value) => {
    const positive = d.key === "typical_p" || d.key === "repetition_penalty"
    if (!Number.isFinite(value) || value < 0 || (positive && value === 0)) return
    if (d.whole) value = Math.round(value)
    bench.set({[d.key]: Math.min(d.most, value)}, d.key)
  }
  range.addEventListener("input", () => set(Number(range.value)))
  range.addEventListener("change", () => bench.tell(true))
  const exact = () => String(Math.round(bench.settings[d.key] * 1e6) / 1e6)
  box.addEventListener("change", () => {
    if (box.value !== "") set(Number(box.value))
    box.value = exact() // what holds, not what was refused or lay beyond the end
  })
  const root = h("div", {class: "dial"}, h("div", {class: "head"}, h("label", {for: id}, w[d.key]), box), range, note)
  let shown = null
  const show = () => {
    const value = bench.settings[d.key]
    if (Number(range.value) !== value) range.value = value
    if (box.value !== exact() && box.getRootNode().activeElement !== box) box.value = exact()
    if (value === shown) return
    shown = value
    const off = value === OFF[d.key]
    range.style.setProperty("--part", `${Math.min(1, Math.max(0, (value - d.min) / (d.max - d.min))) * 100}%`)
    range.setAttribute("aria-valuetext", off ? w.off : String(value))
    root.classList.toggle("off", off)
    const text = w[`${d.key}_${off ? "off" : value === 0 ? "zero" : "on"}`]
    note.textContent = text.replace("{value}", plain(value)).replace("{percent}", percent(value))
  }
  return {root, show}
}

export function dials(bench) {
  const {w} = bench
  const made = DIALS.map((d) => dial(bench, d))
  const presets = h("div", {class: "presets", role: "group", "aria-label": w.presets})
  let chips = []
  const offer = () => {
    chips = bench.model.presets.map(({key, values, title}) => {
      const all = {...OFF, ...values}
      return {
        values: all,
        button: h(
          "button",
          {type: "button", class: "chip", "aria-pressed": "false", title, onclick: () => bench.set(all, "preset", true)},
          w[`preset_${key}`],
        ),
      }
    })
    presets.replaceChildren(h("span", {class: "name"}, w.presets), ...chips.map((chip) => chip.button))
    press()
  }
  const press = () => {
    for (const {button, values} of chips)
      button.setAttribute("aria-pressed", String(KNOBS.every((key) => Math.abs(values[key] - bench.settings[key]) < 1e-9)))
  }
  const show = () => {
    for (const one of made) one.show()
    press()
  }
  bench.model.on("presets", offer)
  offer()
  return {
    root: [
      presets,
      h(
        "div",
        {class: "dials"},
        made.map((d) => d.root),
      ),
    ],
    show,
  }
}
