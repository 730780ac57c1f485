// The KV cache: a cell per block and token; below, what a step costs with it and without it.
export function render({model, el}) {
  const w = model.words
  const map = tx.h("canvas", {class: "map", role: "img"})
  const tip = tx.h("div", {class: "tip", hidden: true})
  const names = tx.h("div", {class: "names"})
  const curve = tx.h("canvas", {class: "curve", role: "img"})
  const ends = tx.h("div", {class: "ends"})
  const swatch = (kind, text) => tx.h("span", null, tx.h("i", {class: kind}), text)
  const gone = swatch("gone", w.gone)
  el.append(tx.h("div", {class: "legend"}, swatch("kept", w.kept), swatch("fresh", w.fresh), gone),
    tx.h("div", {class: "grid"}, names, map), tx.h("h4", null, w.costs), tx.h("div", {class: "plot"}, curve, ends), tip)

  const ROW = () => Math.max(7, Math.min(20, 320 / Math.max(1, model.blocks.length)))
  const pen = (canvas, width, height) => {
    const ratio = window.devicePixelRatio || 1
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
    canvas.style.height = `${height}px`
    const found = canvas.getContext("2d")
    found.scale(ratio, ratio)
    return found
  }
  const drawMap = () => {
    const {n = 0, fresh = 0} = model.tokens
    const [row, width] = [ROW(), map.clientWidth]
    if (!n || !width) return
    const ink = pen(map, width, row * model.blocks.length)
    const colours = {kept: tx.colour(el, "value"), fresh: tx.colour(el, "focus"), gone: tx.colour(el, "border")}
    const step = Math.min(30, width / n)
    const gap = step > 5 ? 1 : 0
    model.blocks.forEach(({kept, read}, i) => {
      for (let t = n - kept; t < n; t++) {
        ink.fillStyle = t >= n - fresh ? colours.fresh : t < n - read ? colours.gone : colours.kept
        ink.fillRect(t * step, i * row, Math.max(0.6, step - gap), row - 1)
      }
    })
    names.replaceChildren(...model.blocks.map((block, i) => tx.h("span", {style: {height: `${row}px`}}, row >= 10 || i % 5 === 0 || i === model.blocks.length - 1 ? i + 1 : "")))
    gone.hidden = model.blocks.every(({kept, read}) => read >= kept)
    map.setAttribute("aria-label", w.map.replace("{blocks}", model.blocks.length).replace("{n}", n).replace("{fresh}", fresh))
  }
  const drawCurve = () => {
    const {at = [], cached = [], whole = [], cached_text = "", whole_text = ""} = model.costs
    const width = curve.clientWidth
    if (!at.length || !width) return
    const height = 120
    const ink = pen(curve, width, height)
    const most = Math.max(...whole)
    const [x, y] = [(i) => 2 + (at[i] / at[at.length - 1]) * (width - 6), (v) => height - 4 - (v / most) * (height - 12)]
    ink.strokeStyle = tx.colour(el, "border")
    ink.strokeRect(0.5, 0.5, width - 1, height - 1)
    for (const [values, colour] of [[whole, "key"], [cached, "focus"]]) {
      ink.strokeStyle = tx.colour(el, colour)
      ink.lineWidth = 2
      ink.beginPath()
      values.forEach((v, i) => (i ? ink.lineTo(x(i), y(v)) : ink.moveTo(x(i), y(v))))
      ink.stroke()
    }
    ends.replaceChildren(tx.h("span", {class: "whole"}, tx.h("b", null, w.whole), ` ${whole_text}`), tx.h("span", {class: "cached"}, tx.h("b", null, w.cached), ` ${cached_text}`))
    curve.setAttribute("aria-label", `${w.costs}: ${w.whole} ${whole_text}, ${w.cached} ${cached_text}`)
  }
  const place = (event) => {
    const box = map.getBoundingClientRect()
    const step = Math.min(30, box.width / model.tokens.n)
    return [Math.floor((event.clientY - box.top) / ROW()), Math.floor((event.clientX - box.left) / step)]
  }
  map.addEventListener("pointermove", (event) => {
    const [i, t] = place(event)
    const block = model.blocks[i]
    tip.hidden = !block || t >= model.tokens.n
    if (tip.hidden) return
    tip.replaceChildren(tx.h("b", null, `${w.block} ${i + 1} · ${t}: ${model.tokens.strings[t] ?? ""}`), tx.h("span", null, block.label))
    const box = el.getBoundingClientRect()
    tip.style.left = `${Math.max(0, Math.min(box.width - tip.offsetWidth, event.clientX - box.left + 12))}px`
    tip.style.top = `${event.clientY - box.top + 14}px`
  })
  map.addEventListener("pointerleave", () => { tip.hidden = true })
  map.addEventListener("click", (event) => { const [layer, token] = place(event); if (model.blocks[layer] && token < model.tokens.n) model.send_msg({layer, token}) })
  const draw = () => { drawMap(); drawCurve() }
  model.on(["blocks", "tokens"], drawMap)
  model.on("costs", drawCurve)
  tx.onTheme(el, draw)
  new ResizeObserver(draw).observe(map)
  draw()
}
