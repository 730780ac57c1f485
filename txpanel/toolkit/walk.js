// The keyboard in a Bokeh picture: arrows walk from cell to cell, Home and End reach the ends, Enter asks what a click asks.
// What a cell is called comes from the picture's own hover, so that the tooltip and a screen reader say the same.
import {h} from "./elements.js"

const WALK_CSS = `:host(:focus-visible){outline:2px solid var(--tx-focus);outline-offset:-2px;border-radius:6px}
.tx-cell{position:absolute;box-sizing:border-box;border:2px solid var(--tx-focus);box-shadow:0 0 0 1.5px var(--tx-surface);border-radius:3px;pointer-events:none;z-index:3}
.tx-said{position:absolute;z-index:4;pointer-events:none;padding:4px 8px;border-radius:6px;background:var(--tx-surface);border:1px solid var(--tx-border);
  box-shadow:0 4px 14px rgb(15 23 42/.16);font:12px/1.45 Roboto,"Helvetica Neue",Arial,sans-serif;color:var(--tx-text);width:max-content;max-width:280px;overflow-wrap:anywhere}`

// The places that the keys can reach: a grid of cells (an image), or what the hover tool knows, one after the other (bars, points).
export function places(figure) {
  const hover = figure.model.toolbar.tools.find((tool) => tool.type === "HoverTool" && tool.renderers?.length)
  if (!hover) return null
  const image = hover.renderers.find((one) => one.glyph.type === "Image")
  return image ? cells(hover, image) : marks(hover)
}
function cells(hover, renderer) {
  const {
    image: [image],
    x: [x],
    y: [y],
    dw: [columns],
    dh: [rows],
  } = renderer.data_source.data
  const say = (r, c) => {
    const at = {x: x + 0.5 + c, y: y + 0.5 + r}
    const {$x: cell, "@image": value, $y: tensor} = hover.formatters
    return [cell.format(at.x, "", at), value.format(image[r * columns + c], "", at), tensor.format(at.y, "", at)].filter(Boolean)
  }
  return {rows, columns, say, box: (r, c) => [x + c, x + c + 1, y + r, y + r + 1], at: (r, c) => [x + 0.5 + c, y + 0.5 + r]}
}
function marks(hover) {
  const known = {
    Quad: (d, i) => [d.left[i], d.right[i], d.bottom[i], d.top[i]],
    Scatter: (d, i, g) => [d[g.x.field][i], d[g.x.field][i], d[g.y.field][i], d[g.y.field][i]],
  }
  const all = hover.renderers
    .filter((one) => one.visible && known[one.glyph.type])
    .flatMap((one) => {
      const data = one.data_source.data
      const boxes = Array.from({length: one.data_source.get_length() ?? 0}, (_, i) => known[one.glyph.type](data, i, one.glyph))
      return boxes.map((box, i) => ({data, i, box})).filter(({box}) => box.every(Number.isFinite))
    })
  const say = (_r, n) =>
    hover.tooltips
      .map(([, text]) => {
        const [, field] = text.match(/^@([^{]+)/) ?? []
        const value = field && all[n].data[field]?.[all[n].i]
        return value == null || value === "" ? "" : String(hover.formatters[`@${field}`]?.format(value, "", {}) ?? value)
      })
      .filter(Boolean)
  const box = (_r, n) => all[n].box
  return {
    rows: 1,
    columns: all.length,
    list: true,
    say,
    box,
    at: (r, n) => {
      const [l, h, b, t] = box(r, n)
      return [(l + h) / 2, (b + t) / 2]
    },
  }
}

const STEPS = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}
export function target(key, [r, c], {rows, columns, list}, control) {
  const far = Math.max(1, Math.round((list ? columns : rows) / 10))
  const step = STEPS[key] ?? {PageUp: [-far, 0], PageDown: [far, 0]}[key]
  if (step && list) return [0, Math.min(columns - 1, Math.max(0, c + step[0] + step[1]))]
  if (step) return [Math.min(rows - 1, Math.max(0, r + step[0])), Math.min(columns - 1, Math.max(0, c + step[1]))]
  if (key === "Home") return [control ? 0 : r, 0]
  if (key === "End") return [control ? rows - 1 : r, columns - 1]
  return null
}

// Makes a figure walkable. ask(x, y): what a click at a place of the figure does. Returns how to name the figure.
export function walk(figure, loud, ask) {
  const host = figure.el
  const [frame, said] = [h("div", {class: "tx-cell", "aria-hidden": "true"}), h("div", {class: "tx-said", "aria-hidden": "true"})]
  const style = h("style", null, WALK_CSS)
  let at = [0, 0]
  let shown = false
  const linked = (kind, more) => (figure.model.js_event_callbacks[kind] ?? []).forEach((callback) => callback.execute({...more}))

  function draw(all) {
    const scales = [...figure.renderer_views.values()].find((one) => one.coordinates?.x_scale).coordinates
    const [l, r, b, t] = all.box(...at)
    const xs = [l, r].map((v) => scales.x_scale.compute(v)).sort((p, q) => p - q)
    const ys = [b, t].map((v) => scales.y_scale.compute(v)).sort((p, q) => p - q)
    const [width, height] = [Math.max(10, xs[1] - xs[0]), Math.max(10, ys[1] - ys[0])]
    const [left, top] = [(xs[0] + xs[1] - width) / 2, (ys[0] + ys[1] - height) / 2]
    const canvas = figure.canvas_view.el
    const [dx, dy] = [canvas.offsetLeft, canvas.offsetTop]
    Object.assign(frame.style, {left: `${left + dx}px`, top: `${top + dy}px`, width: `${width}px`, height: `${height}px`})
    const words = all.say(...at)
    said.replaceChildren(...words.map((word, i) => h(i === 1 ? "b" : "div", null, word)))
    if (!frame.isConnected) figure.shadow_el.append(style, frame, said)
    const below = top + height + 6 + said.offsetHeight <= host.clientHeight || top - said.offsetHeight - 6 < 0
    Object.assign(said.style, {
      top: `${dy + (below ? top + height + 6 : top - said.offsetHeight - 6)}px`,
      left: `${Math.max(0, Math.min(host.clientWidth - said.offsetWidth, dx + left + width / 2 - said.offsetWidth / 2))}px`,
    })
    loud.textContent = words.join(", ")
    frame.scrollIntoView({block: "nearest", inline: "nearest"})
    const [x, y] = all.at(...at)
    linked("mousemove", {x, y})
  }
  function show() {
    const all = places(figure)
    if (!all?.columns || !all.rows) return hide()
    at = [Math.min(at[0], all.rows - 1), Math.min(at[1], all.columns - 1)]
    shown = true
    return draw(all)
  }
  function hide() {
    if (!shown) return
    shown = false
    for (const one of [frame, said]) one.remove()
    loud.textContent = ""
    linked("mouseleave", {})
  }
  host.tabIndex = 0
  host.setAttribute("role", "application") // arrow keys belong to the picture; everything else stays with the page
  if (!style.isConnected) figure.shadow_el.append(style)
  host.addEventListener("focus", () => {
    if (host.matches(":focus-visible")) show()
  })
  host.addEventListener("blur", hide)
  host.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey) return
    const all = places(figure)
    if (!all?.columns) return
    if (event.key === "Escape" && shown) {
      hide()
      event.stopPropagation()
      return
    }
    if (event.key === "Enter" || event.key === " ") {
      if (shown) ask(...all.at(...at))
      else show()
      event.preventDefault()
      return
    }
    const next = target(event.key, at, all, event.ctrlKey)
    if (!next) return
    if (shown && next[0] === at[0] && next[1] === at[1]) return // at the edge the key is left to the page, which scrolls: nobody is trapped in the picture
    if (shown) at = next
    show()
    event.preventDefault()
  })
  return {
    name: (text) => host.setAttribute("aria-label", text),
    again: () => {
      if (shown) show()
    },
  }
}
