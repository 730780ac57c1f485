import {h} from "./elements.js"
import {number} from "./numbers.js"
import {isDark} from "./theme.js"
import {onLook, paintStrip} from "./vector_strips_paint.js"

/** Real vectors as strips: one row each, hover and arrow keys read every number, a click asks why. */
export function render({model}) {
  const root = h("div", {class: "strip-rows"})
  const tip = h("div", {class: "tip", role: "status"})
  let drawn = []

  const slice = (row) => Float32Array.from({length: row.length}, (_, i) => model.values[row.start + i])

  function read(entry, i) {
    const v = entry.values[i]
    const {tensor, index, derived} = entry.row
    return {v, where: derived ? derived.replaceAll("{i}", i) : `${tensor}[${[...index, i].join(", ")}]`}
  }

  function showTip(entry, i) {
    const {v, where} = read(entry, i)
    tip.replaceChildren(h("b", null, number(v)), h("span", null, where), h("span", {class: "dim"}, entry.row.label))
    tip.style.display = "grid"
    const box = root.getBoundingClientRect()
    const strip = entry.box.getBoundingClientRect()
    const x = strip.left - box.left + ((i + 0.5) / entry.row.length) * strip.width
    const wide = tip.offsetWidth
    tip.style.left = `${Math.max(0, Math.min(box.width - wide, x - wide / 2))}px`
    const above = strip.top - box.top - tip.offsetHeight - 6
    tip.style.top = `${above < -40 ? strip.bottom - box.top + 6 : above}px`
    entry.cursor.style.left = `${((i + 0.5) / entry.row.length) * 100}%`
    entry.cursor.style.display = "block"
    stand(entry, i)
  }

  function stand(entry, i) {
    const {v, where} = read(entry, i)
    entry.at = i
    entry.box.setAttribute("aria-valuenow", i)
    entry.box.setAttribute("aria-valuetext", `${where} = ${number(v)}`)
  }

  function hide() {
    tip.style.display = "none"
    drawn.forEach((e) => {
      e.cursor.style.display = "none"
    })
  }

  function pick(entry, i) {
    if (entry.row.ask) model.send_msg({row: entry.number, index: i})
  }

  function keys(entry, event) {
    const n = entry.row.length,
      page = Math.max(1, Math.round(n / 10))
    const step = {ArrowRight: 1, ArrowLeft: -1, PageDown: page, PageUp: -page}[event.key]
    if (step) showTip(entry, Math.max(0, Math.min(n - 1, (entry.at ?? 0) + step)))
    else if (event.key === "Home") showTip(entry, 0)
    else if (event.key === "End") showTip(entry, n - 1)
    else if (event.key === "Enter" || event.key === " ") pick(entry, entry.at ?? 0)
    else return
    event.preventDefault()
  }

  function strip(row, at) {
    const canvas = h("canvas")
    const cursor = h("i", {class: "cursor"})
    const under = (e) => {
      const r = box.getBoundingClientRect()
      return Math.max(0, Math.min(row.length - 1, Math.floor(((e.clientX - r.left) / r.width) * row.length)))
    }
    const box = h(
      "div",
      {
        class: "strip",
        style: row.hue ? {"--hue": row.hue} : null,
        tabindex: 0,
        role: "slider",
        "aria-label": model.words.strip.replace("{label}", row.label).replace("{n}", row.length).replace("{tensor}", row.tensor),
        "aria-valuemin": 0,
        "aria-valuemax": row.length - 1,
        "aria-valuenow": 0,
        onmousemove: (e) => showTip(entry, under(e)),
        onmouseleave: hide,
        onblur: hide,
        onfocus: () => {
          if (box.matches(":focus-visible")) showTip(entry, entry.at ?? 0)
        },
        onclick: (e) => pick(entry, under(e)),
        onkeydown: (e) => keys(entry, e),
      },
      canvas,
      cursor,
      (row.marks || []).map((i) => mark("mark", i, row.length)),
    )
    const entry = {row, number: at, box, canvas, cursor, values: slice(row), at: null}
    drawn.push(entry)
    return box
  }

  const mark = (cls, i, n) => h("i", {class: cls, style: {left: `${((i + 0.5) / n) * 100}%`}})

  /** Highlights the numbers that the open card is about. */
  function light() {
    drawn.forEach((e) => {
      e.box.querySelectorAll(".lit").forEach((m) => m.remove())
      const places = model.lights[e.number] || []
      places.filter((i) => i >= 0).forEach((i) => e.box.append(mark("lit", i, e.row.length)))
      e.box.nextSibling?.classList.toggle("on", places.includes(-1))
    })
  }

  /** The text after a strip: words, or the vector's norm, whose card can be opened. */
  function tail(row, at) {
    if (!row.measured) return h("span", {class: "tail"}, row.tail || "")
    const title = `${model.words.why} ${row.measured}[${row.index.join(", ")}]`
    const ask = () => model.send_msg({row: at, index: -1})
    return h("button", {class: "tail", type: "button", title, "aria-label": `${row.label}: ${row.tail}: ${title}`, onclick: ask}, row.tail)
  }

  const line = (row, at) =>
    h(
      "div",
      {class: `row${row.length ? "" : " only"}${row.strong ? " strong" : ""}`},
      h("span", {class: "sign"}, row.sign || ""),
      h("span", {class: "label"}, h("span", {class: "name"}, row.label), row.note ? h("span", {class: "note"}, row.note) : null),
      row.length ? strip(row, at) : null,
      tail(row, at),
    )

  const legend = (scale) =>
    h(
      "div",
      {class: "legend"},
      h("span", null, number(-scale)),
      h("i", {class: "ramp"}),
      h("span", null, number(scale)),
      h("span", {class: "dim"}, model.words.legend),
    )

  function paint() {
    const dark = isDark(root)
    drawn.forEach((e) => paintStrip(e.canvas, e.values, e.row.scale, dark))
  }

  // A person who goes along a strip by keys stays at the same place when its numbers change, as with the next block.
  function resume(before, active) {
    for (const old of before) {
      const now = drawn.find((e) => e.number === old.number && e.row.length === old.row.length)
      if (!now) continue
      if (old.at !== null) stand(now, old.at)
      if (old.box !== active) continue
      now.box.focus({preventScroll: true})
      if (old.at !== null) showTip(now, old.at)
    }
  }

  function build() {
    const before = drawn
    const active = root.getRootNode().activeElement
    drawn = []
    const rows = model.rows.map((row, i) => line(row, i))
    const scales = [...new Set(drawn.map((e) => e.row.scale))]
    root.replaceChildren(...rows)
    if (scales.length === 1) root.append(legend(scales[0]))
    else if (scales.length > 1) root.append(h("div", {class: "legend dim"}, model.words.own))
    root.append(tip)
    hide()
    light()
    resume(before, active)
    requestAnimationFrame(paint)
  }

  build()
  model.on("version", () => requestAnimationFrame(build)) // the other params of the same update are there by then
  model.on("lights", light)
  const off = onLook(root, paint)
  model.on("remove", off)
  return root
}
