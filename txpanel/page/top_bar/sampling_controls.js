// The sampling settings in the bar: sliders for those that have a place there, boxes for all others behind a button that counts what is on.

import {liveSettings} from "../../decoding/live_settings.js"
import {h} from "../../toolkit/elements.js"
import {patch, set, v} from "../../toolkit/patch.js"
import {popover} from "./popover.js"

// Returns two elements, `inline` and `more`, and draw(), which shows the settings that the server has. drawn(token): called when a slider changes the draw.
export function samplingControls(model, send, drawn) {
  const w = model.words
  const settings = {}
  let live = null // settings that are changed here or elsewhere on the page: all places show them at once
  const follow = () => {
    live?.stop()
    live = liveSettings(model.settings_key, {moved: (_change, own) => own || draw(), drawn})
  }
  const now = (name) => live.over(model.settings)[name]
  const change = (name, value) => {
    live.move({[name]: value})
    send("set", {[name]: value})
    draw()
  }
  const slider = ({key: name, words: {label}, slider: {least, most, step}}) => {
    const input = h("input", {type: "range", min: least, max: most, step, "aria-label": label})
    const shown = h("output")
    let dragging = false
    const draw = () => {
      const value = now(name)
      if (!dragging) input.value = value
      paint(dragging ? input.value : value) // the value itself: it may be set elsewhere beyond the end of this slider
    }
    const paint = (value) => {
      shown.textContent = String(Math.round(value * 100) / 100)
      input.style.setProperty("--part", `${((input.value - least) / (most - least)) * 100}%`)
    }
    input.addEventListener("pointerdown", () => {
      dragging = true
    })
    for (const end of ["pointerup", "pointercancel"])
      input.addEventListener(end, () => {
        dragging = false
        draw()
      })
    input.addEventListener("input", () => {
      paint(input.value)
      change(name, Number(input.value))
    })
    settings[name] = draw
    return h("label", {class: "slider"}, h("span", null, label), input, shown)
  }
  const numeric = (name, label, least, most, step, hint) => {
    const input = h("input", {type: "number", min: least, max: most, step, "aria-label": label})
    let typing = false // a value that is being typed is never overwritten
    input.addEventListener("input", () => {
      typing = true
    })
    input.addEventListener("change", () => {
      typing = false
      if (input.value === "") return settings[name]()
      input.value = Math.max(least, Math.min(most, Number(input.value))) // the nearest allowed value
      change(name, Number(input.value))
    })
    input.addEventListener("blur", () => {
      typing = false
      settings[name]()
    })
    settings[name] = () => {
      const value = String(Math.round(now(name) * 1e6) / 1e6)
      if (!typing && input.value !== value) input.value = value
      count()
    }
    return h("label", {class: "numeric"}, h("span", null, label), input, h("small", null, hint))
  }
  const boxed = model.stages.filter((stage) => !stage.in_bar)
  const count = () => {
    // the button says how many settings behind it are on
    const n = boxed.filter(({key, off}) => Math.abs(now(key) - off) > 1e-9).length
    const title = n ? `${w.sampling_title}: ${w.sampling_on.replace("{n}", n)}` : w.sampling_title
    patch(more.opener, w.sampling, n ? v("b", {class: "on"}, String(n)) : null)
    set(more.opener, "title", title)
    set(more.opener, "aria-label", title)
  }
  const more = popover(w.sampling, w.sampling_title, {class: "quiet", sheet: "settings"})
  // One click sets high-temperature sampling, the next one the usual settings
  const equal = (values) => Object.entries(values).every(([name, value]) => Math.abs(now(name) - value) < 1e-9)
  const surprise = h(
    "button",
    {
      type: "button",
      class: "quiet surprise",
      title: w.surprise_title,
      onclick: () => {
        const {surprise: wild, usual} = model.ready
        const values = equal(wild) ? usual : wild
        live.move(values)
        send("set", values)
        draw()
      },
    },
    w.surprise,
  )
  const inline = h("div", {class: "sliders", "data-alone": true}, model.stages.filter((stage) => stage.in_bar).map(slider), surprise)
  const box_of = ({key, least, most, slider: {step}, words: {label, hint}}) => numeric(key, label, least > 0 ? step : 0, most, step, hint)
  more.sheet.append(...boxed.map(box_of), numeric("seed", w.seed, 0, 2 ** 52, 1, w.seed_hint))
  const draw = () => {
    live.heard(model.settings)
    for (const each of Object.values(settings)) each()
    surprise.hidden = !model.ready.surprise
    if (model.ready.surprise) set(surprise, "aria-pressed", equal(model.ready.surprise))
  }
  follow()
  model.on("settings_key", follow)
  model.on("remove", () => live.stop())
  return {inline, more: more.root, draw}
}
