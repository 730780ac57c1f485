import {isDark} from "./theme.js"
import {onLook, paintStrip, say, tag} from "./vector_strips_paint.js"

/** Real vectors as strips: one row each, hover and arrow keys read every number, a click asks why. */
export function render({model}) {
  const root = tag("div", "strip-rows")
  const tip = tag("div", "tip")
  tip.setAttribute("role", "status")
  let drawn = []

  const slice = (row) => Float32Array.from({length: row.length}, (_, i) => model.values[row.start + i])

  function read(entry, i) {
    const v = entry.values[i]
    const {tensor, index, derived} = entry.row
    return {v, where: derived ? derived.replaceAll("{i}", i) : `${tensor}[${[...index, i].join(", ")}]`}
  }

  function showTip(entry, i) {
    const {v, where} = read(entry, i)
    tip.replaceChildren(tag("b", "", say(v)), tag("span", "", where), tag("span", "dim", entry.row.label))
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
    entry.at = i
    entry.box.setAttribute("aria-valuenow", i)
    entry.box.setAttribute("aria-valuetext", `${where} = ${say(v)}`)
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

  function strip(row, number) {
    const box = tag("div", "strip")
    const canvas = tag("canvas")
    const cursor = tag("i", "cursor")
    const entry = {row, number, box, canvas, cursor, values: slice(row), at: null}
    box.append(canvas, cursor)
    if (row.hue) box.style.setProperty("--hue", row.hue)
    for (const i of row.marks || []) box.append(mark("mark", i, row.length))
    box.tabIndex = 0
    box.setAttribute("role", "slider")
    box.setAttribute("aria-label", `${row.label}: ${row.length} numbers of ${row.tensor}`)
    box.setAttribute("aria-valuemin", 0)
    box.setAttribute("aria-valuemax", row.length - 1)
    box.setAttribute("aria-valuenow", 0)
    const at = (e) => {
      const r = box.getBoundingClientRect()
      return Math.max(0, Math.min(row.length - 1, Math.floor(((e.clientX - r.left) / r.width) * row.length)))
    }
    box.addEventListener("mousemove", (e) => showTip(entry, at(e)))
    box.addEventListener("mouseleave", hide)
    box.addEventListener("blur", hide)
    box.addEventListener("focus", () => {
      if (box.matches(":focus-visible")) showTip(entry, entry.at ?? 0)
    })
    box.addEventListener("click", (e) => pick(entry, at(e)))
    box.addEventListener("keydown", (e) => keys(entry, e))
    drawn.push(entry)
    return box
  }

  function mark(cls, i, n) {
    const m = tag("i", cls)
    m.style.left = `${((i + 0.5) / n) * 100}%`
    return m
  }

  /** Numbers that the question on the page is about light up. */
  function light() {
    drawn.forEach((e) => {
      e.box.querySelectorAll(".lit").forEach((m) => m.remove())
      const places = model.lights[e.number] || []
      places.filter((i) => i >= 0).forEach((i) => e.box.append(mark("lit", i, e.row.length)))
      e.box.nextSibling?.classList.toggle("on", places.includes(-1))
    })
  }

  /** What stands behind a strip: words, or the vector's length, which can be asked for. */
  function tail(row, number) {
    if (!row.measured) return tag("span", "tail", row.tail || "")
    const ask = tag("button", "tail", row.tail)
    ask.type = "button"
    ask.title = `${model.words.why} ${row.measured}[${row.index.join(", ")}]`
    ask.setAttribute("aria-label", `${row.label}: ${row.tail}: ${ask.title}`)
    ask.addEventListener("click", () => model.send_msg({row: number, index: -1}))
    return ask
  }

  function line(row, number) {
    const el = tag("div", row.length ? "row" : "row only")
    if (row.strong) el.classList.add("strong")
    const sign = tag("span", "sign", row.sign || "")
    const label = tag("span", "label")
    label.append(tag("span", "name", row.label))
    if (row.note) label.append(tag("span", "note", row.note))
    el.append(sign, label)
    if (row.length) el.append(strip(row, number))
    el.append(tail(row, number))
    return el
  }

  function legend(scale) {
    const el = tag("div", "legend")
    el.append(tag("span", "", say(-scale)), tag("i", "ramp"), tag("span", "", say(scale)), tag("span", "dim", model.words.legend))
    return el
  }

  function paint() {
    const dark = isDark(root)
    drawn.forEach((e) => paintStrip(e.canvas, e.values, e.row.scale, dark))
  }

  function build() {
    drawn = []
    const rows = model.rows.map((row, i) => line(row, i))
    const scales = [...new Set(drawn.map((e) => e.row.scale))]
    root.replaceChildren(...rows)
    if (scales.length === 1) root.append(legend(scales[0]))
    else if (scales.length > 1) root.append(tag("div", "legend dim", model.words.own))
    root.append(tip)
    hide()
    light()
    requestAnimationFrame(paint)
  }

  build()
  model.on("version", () => requestAnimationFrame(build)) // the other params of the same update are there by then
  model.on("lights", light)
  const off = onLook(root, paint)
  model.on("remove", off)
  return root
}
