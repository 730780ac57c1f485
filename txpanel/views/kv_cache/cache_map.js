// The KV cache: a cell per block and token; below, what a step costs with it and without it.
import {h, s} from "../../toolkit/elements.js"
import {grouped} from "../../toolkit/numbers.js"
import {colour, onTheme} from "../../toolkit/theme.js"

export function render({model, el}) {
  const w = model.words
  const map = h("canvas", {class: "map", role: "img"})
  const tip = h("div", {class: "tip", hidden: true})
  const names = h("div", {class: "names"})
  const columns = h("div", {class: "columns"})
  const bytes = h("div", {class: "bytes"})
  const plot = h("div", {class: "curve"})
  const ends = h("div", {class: "ends"})
  const swatch = (kind, text) => h("span", null, h("i", {class: kind}), text)
  const gone = swatch("gone", w.gone)
  const none = swatch("none", w.none)
  const held = [
    h("div", {class: "legend"}, swatch("kept", w.kept), swatch("fresh", w.fresh), gone, none),
    h("div", {class: "grid"}, h("i"), columns, names, map),
  ]
  const costs = h("div", null, h("h4", null, w.costs), h("p", null, w.unit), h("div", {class: "plot"}, plot, ends))
  el.append(...held, bytes, costs, tip)

  const ROW = () => Math.max(8, Math.min(20, 330 / Math.max(1, model.blocks.length)))
  const STEP = () => Math.min(76, map.clientWidth / Math.max(1, model.tokens.n))
  const pen = (canvas, width, height) => {
    const ratio = window.devicePixelRatio || 1
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
    canvas.style.height = `${height}px`
    const found = canvas.getContext("2d")
    found.scale(ratio, ratio)
    return found
  }
  // Over the columns: the tokens where there is room for words, else the positions of some.
  const heads = (n, step) => {
    const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((k) => k * step >= 34) ?? n
    const words = step >= 34
    const shown = Array.from({length: n}, (_x, t) => t).filter((t) => words || t % every === 0)
    columns.replaceChildren(
      ...shown.map((t) =>
        h(
          "span",
          {
            class: words ? "word" : "at",
            title: model.tokens.strings[t] ?? "",
            style: {left: `${t * step}px`, ...(words ? {width: `${step - 4}px`} : {})},
          },
          words ? (model.tokens.strings[t] ?? "").trim() || "␣" : t,
        ),
      ),
    )
  }
  // A block without cached keys and values: hatched, like all that is not opened.
  const hatch = (ink, y, width, height) => {
    ink.save()
    ink.beginPath()
    ink.rect(0, y, width, height)
    ink.clip()
    ink.strokeStyle = colour(el, "closed")
    ink.beginPath()
    for (let x = -height; x < width; x += 7) {
      ink.moveTo(x, y + height)
      ink.lineTo(x + height, y)
    }
    ink.stroke()
    ink.restore()
  }
  const drawMap = () => {
    const {n = 0, fresh = 0} = model.tokens
    for (const part of held) part.hidden = !model.blocks.length
    const [row, width] = [ROW(), map.clientWidth]
    if (!n || !width) return
    const ink = pen(map, width, row * model.blocks.length)
    const colours = {kept: colour(el, "value"), fresh: colour(el, "focus"), gone: colour(el, "border")}
    const step = STEP()
    const gap = step > 5 ? 1 : 0
    model.blocks.forEach(({kept, read}, i) => {
      if (!kept) hatch(ink, i * row, n * step, row - 1)
      for (let t = n - kept; t < n; t++) {
        ink.fillStyle = t >= n - fresh ? colours.fresh : t < n - read ? colours.gone : colours.kept
        ink.fillRect(t * step, i * row, Math.max(0.6, step - gap), row - 1)
      }
    })
    const every = [1, 2, 5, 10, 20].find((k) => k * row >= 13) ?? 50
    names.replaceChildren(...model.blocks.map((_block, i) => h("span", {style: {height: `${row}px`}}, i % every === 0 ? i + 1 : "")))
    heads(n, step)
    none.hidden = model.blocks.every(({kept}) => kept)
    gone.hidden = model.blocks.every(({kept, read}) => read >= kept)
    map.setAttribute("aria-label", w.map.replace("{blocks}", model.blocks.length).replace("{n}", n).replace("{fresh}", fresh))
  }
  const drawBytes = () => {
    bytes.hidden = !model.bytes.length
    const line = ([label, sum, result]) =>
      h("div", {class: "line"}, h("dt", null, label), h("dd", null, sum), h("dd", {class: "result"}, `= ${result}`))
    bytes.replaceChildren(h("h4", null, w.bytes), h("dl", null, model.bytes.map(line)))
  }
  const drawCurve = () => {
    const {at = [], cached = [], whole = [], cached_text = "", whole_text = ""} = model.costs
    costs.hidden = !at.length
    const width = plot.clientWidth
    if (!at.length || !width) return
    const [left, right, bottom, height] = [44, width - 10, 136, 170]
    const [first, last] = [at[0], at[at.length - 1]]
    const [high, values] = ticks(Math.max(...whole) / 1e6, 3)
    const x = (t) => (last > first ? left + 8 + ((t - first) / (last - first)) * (right - left - 8) : (left + right) / 2)
    const y = (v) => bottom - (v / 1e6 / high) * (bottom - 10)
    const line = (kind, of) =>
      at.length > 1
        ? s("path", {class: kind, d: of.map((v, i) => `${i ? "L" : "M"}${x(at[i]).toFixed(1)} ${y(v).toFixed(1)}`).join("")})
        : s("circle", {class: kind, cx: x(first), cy: y(of[0]), r: 4})
    const every = Math.max(1, Math.ceil((last - first) / 5)) // about six labels at equal distances
    const places = Array.from({length: Math.floor((last - first) / every) + 1}, (_x, i) => first + i * every)
    plot.replaceChildren(
      s(
        "svg",
        {width, height, role: "img", "aria-label": `${w.costs}: ${w.whole} ${whole_text}, ${w.cached} ${cached_text}`},
        values.map((v) => [
          s("line", {class: "grid-line", x1: left, x2: right, y1: y(v * 1e6), y2: y(v * 1e6)}),
          s("text", {class: "tick", x: left - 6, y: y(v * 1e6) + 4, "text-anchor": "end"}, grouped(String(Number(v.toPrecision(6))))),
        ]),
        places.map((t) =>
          s(
            "text",
            {class: "tick", x: x(t), y: bottom + 16, "text-anchor": t === last && last > first ? "end" : "middle"},
            grouped(String(t)),
          ),
        ),
        s("text", {class: "tick", x: (left + right) / 2, y: height - 2, "text-anchor": "middle"}, w.length),
        line("whole-line", whole),
        line("cached-line", cached),
      ),
    )
    ends.replaceChildren(
      h("span", {class: "whole"}, h("b", null, w.whole), ` ${whole_text}`),
      h("span", {class: "cached"}, h("b", null, w.cached), ` ${cached_text}`),
    )
  }
  const ticks = (most, n) => {
    const rough = most / n
    const power = 10 ** Math.floor(Math.log10(rough))
    const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough)
    const top = Math.ceil(most / step)
    return [top * step, Array.from({length: top + 1}, (_x, i) => i * step)]
  }
  const place = (event) => {
    const box = map.getBoundingClientRect()
    return [Math.floor((event.clientY - box.top) / ROW()), Math.floor((event.clientX - box.left) / STEP())]
  }
  map.addEventListener("pointermove", (event) => {
    const [i, t] = place(event)
    const block = model.blocks[i]
    tip.hidden = !block || t >= model.tokens.n
    if (tip.hidden) return
    tip.replaceChildren(h("b", null, `${w.block} ${i + 1} · ${t}: ${model.tokens.strings[t] ?? ""}`), h("span", null, block.label))
    const box = el.getBoundingClientRect()
    tip.style.left = `${Math.max(0, Math.min(box.width - tip.offsetWidth, event.clientX - box.left + 12))}px`
    tip.style.top = `${event.clientY - box.top + 14}px`
  })
  map.addEventListener("pointerleave", () => {
    tip.hidden = true
  })
  map.addEventListener("click", (event) => {
    const [layer, token] = place(event)
    if (model.blocks[layer] && token < model.tokens.n) model.send_msg({layer, token})
  })
  const draw = () => {
    drawMap()
    drawCurve()
  }
  model.on("bytes", drawBytes)
  drawBytes()
  model.on(["blocks", "tokens"], drawMap)
  model.on("costs", drawCurve)
  onTheme(el, draw)
  new ResizeObserver(draw).observe(map)
  draw()
}
