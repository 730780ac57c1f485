// A slider for each declared stage, in their order, and ready-made settings. `ctx` is what sampling.js hands to each part.

import {plain} from "../../decoding/pipeline.js"
import {h} from "../../toolkit/elements.js"
import {percent} from "../../toolkit/numbers.js"
import {set} from "../../toolkit/patch.js"

function slider(ctx, stage) {
  const {
    key,
    off,
    words,
    slider: {least, most, step},
  } = stage
  const id = `slider-${key}`
  const range = h("input", {type: "range", id, min: least, max: most, step, "aria-describedby": `${id}-note`})
  const box = h("input", {type: "number", class: "exact", min: 0, step: "any", "aria-label": words.label})
  const note = h("p", {class: "note", id: `${id}-note`})
  const take = (value) => {
    if (!Number.isFinite(value) || value < 0 || (stage.positive && value === 0)) return
    ctx.set({[key]: Math.min(stage.most, stage.whole ? Math.round(value) : value)}, key)
  }
  range.addEventListener("input", () => take(Number(range.value)))
  range.addEventListener("change", () => ctx.tell(true))
  const exact = () => String(Math.round(ctx.settings[key] * 1e6) / 1e6)
  box.addEventListener("change", () => {
    if (box.value !== "") take(Number(box.value))
    box.value = exact() // the value in use, if what was typed was refused or out of range
  })
  const root = h("div", {class: "slider"}, h("div", {class: "head"}, h("label", {for: id}, words.label), box), range, note)
  let shown = null
  const show = () => {
    const value = ctx.settings[key]
    if (Number(range.value) !== value) range.value = value
    if (box.value !== exact() && box.getRootNode().activeElement !== box) box.value = exact()
    if (value === shown) return
    shown = value
    const idle = value === off
    range.style.setProperty("--part", `${Math.min(1, Math.max(0, (value - least) / (most - least))) * 100}%`)
    range.setAttribute("aria-valuetext", idle ? ctx.w.off : String(value))
    root.classList.toggle("off", idle)
    const text = idle ? words.off : value === 0 ? words.zero : words.on
    note.textContent = text.replace("{value}", plain(value)).replace("{percent}", percent(value))
  }
  return {root, show}
}

export function sliders(ctx) {
  const {w, declared} = ctx
  const made = declared.map((stage) => slider(ctx, stage))
  const presets = h("div", {class: "presets", "data-alone": true, role: "group", "aria-label": w.presets})
  const leftOut = h("p", {class: "left-out"})
  let chips = []
  const offer = () => {
    chips = ctx.model.presets.map(({key, values, title}) => ({
      values,
      button: h(
        "button",
        {type: "button", class: "chip", "aria-pressed": "false", title, onclick: () => ctx.set(values, "preset", true)},
        w[`preset_${key}`],
      ),
    }))
    presets.replaceChildren(h("span", {class: "name"}, w.presets), ...chips.map((chip) => chip.button))
    const missing = ctx.model.presets.flatMap((preset) => preset.left_out ?? [])
    leftOut.textContent = missing.length ? `${w.left_out} ${missing.join("; ")}.` : ""
    leftOut.hidden = !missing.length
    press()
  }
  const press = () => {
    for (const {button, values} of chips)
      set(
        button,
        "aria-pressed",
        declared.every(({key}) => Math.abs(values[key] - ctx.settings[key]) < 1e-9),
      )
  }
  const show = () => {
    for (const one of made) one.show()
    press()
  }
  ctx.model.on("presets", offer)
  offer()
  return {
    root: [
      presets,
      leftOut,
      h(
        "div",
        {class: "sliders", "data-alone": true},
        made.map((one) => one.root),
      ),
    ],
    show,
  }
}
