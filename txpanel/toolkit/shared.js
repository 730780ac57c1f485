// What every component of txpanel may use, as `tx`. Put in front of each component's module by txpanel/toolkit/component.py,
// which also defines TX_CSS (all colours as custom properties) and TX_RAMPS (end points of the colour maps) from views/palette.py.
const TIP_CSS = `.bk-Tooltip{background-color:var(--tx-surface);color:var(--tx-text);border:1px solid var(--tx-border);border-radius:10px;padding:7px 10px;
  font:13px/1.45 Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;opacity:1;box-shadow:0 6px 24px rgb(15 23 42/.22);
  --tooltip-arrow-color:var(--tx-border);--tooltip-arrow-inner-color:var(--tx-surface)}`

// Bokeh's tooltips are children of the body; the colour of their labels is inside them, and too pale to read.
function dressTips() {
  const dress = (tip) => {
    if (!tip.matches?.(".bk-Tooltip") || tip.shadowRoot.querySelector(".tx")) return
    const style = Object.assign(document.createElement("style"), {className: "tx", textContent: ".bk-tooltip-row-label{color:var(--tx-muted)!important}"})
    tip.shadowRoot.append(style)
  }
  new MutationObserver((list) => list.forEach((change) => change.addedNodes.forEach(dress))).observe(document.body, {childList: true})
}

const tx = (() => {
  // One style sheet per document: custom properties reach into every shadow root, and light-dark() is decided where it is used.
  if (!document.getElementById("tx-variables")) {
    const sheet = document.createElement("style")
    sheet.id = "tx-variables"
    sheet.textContent = TX_CSS + TIP_CSS
    document.head.append(sheet)
    dressTips()
  }

  const SVG = "http://www.w3.org/2000/svg"

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (name.startsWith("aria-") && typeof value === "boolean") { node.setAttribute(name, String(value)); continue }
      if (value == null || value === false) continue
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value)
      else if (name === "style" && typeof value === "object") {
        for (const [key, part] of Object.entries(value)) node.style.setProperty(key, part)
      } else node.setAttribute(name, value === true ? "" : String(value))
    }
    for (const child of children.flat(Infinity)) {
      if (child == null || child === false) continue
      node.append(child.nodeType ? child : document.createTextNode(String(child)))
    }
    return node
  }

  // Elements from data, text always as text: h("b", {class: "x", onclick: f}, "token <script>")
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children)
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children)

  // A token with its blanks made visible, as nodes: the sign hangs under the line in most fonts and is lifted (BASE_CSS).
  const blanks = (text) => text.split(/( +)/).map((part) => (part.startsWith(" ") ? h("i", {class: "tx-blank"}, part.length > 4 ? `␣×${part.length}` : "␣".repeat(part.length)) : part))

  // --- numbers, as txpanel/toolkit/format.py writes them ------------------------------------------------------------
  const grouped = (text) => {
    const [whole, rest] = text.split(".")
    const marked = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",")
    return rest === undefined ? marked : `${marked}.${rest}`
  }
  const scientific = (size, digits) => {
    const [mantissa, power] = size.toExponential(Math.max(0, digits - 1)).split("e")
    return `${mantissa}e${power.startsWith("-") ? "−" : ""}${power.replace(/[+-]/, "")}`
  }
  function number(value, digits = 4) {
    if (value == null || Number.isNaN(value)) return "–"
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞"
    if (Object.is(value, 0) || Object.is(value, -0)) return "0"
    const size = Math.abs(value)
    const sign = value < 0 ? "−" : ""
    if (Number.isInteger(value) && size < 1e15) return sign + grouped(String(size))
    if (size >= 1e6 || size < 1e-3) return sign + scientific(size, digits)
    const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)))
    return sign + grouped(size.toFixed(places))
  }
  function percent(value, digits = 2) {
    if (value == null || Number.isNaN(value)) return "–"
    if (value === 0) return "0 %"
    if (value === 1) return "100 %"
    const part = value * 100
    if (part >= 99.95) {
      const missing = 100 - part
      if (missing < -1e-4) return `${part.toFixed(1)} %`
      if (missing < 1e-4) return value < 1 ? "> 99.9999 %" : "100 %"
      return `${part.toFixed(1 - Math.floor(Math.log10(missing)))} %`
    }
    if (part < 1e-3) return `${scientific(part, digits)} %`
    const places = part >= 1 ? 1 : Math.max(1, digits - 1 - Math.floor(Math.log10(part)))
    return `${part.toFixed(places)} %`
  }

  // --- colours -----------------------------------------------------------------------------------------------------
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  const gamma = (c) => (c <= 0.0031308 ? c * 12.92 : 1.055 * c ** (1 / 2.4) - 0.055)
  const times = (m, v) => m.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
  const oklab = (hex) => {
    const rgb = [1, 3, 5].map((i) => linear(parseInt(hex.slice(i, i + 2), 16) / 255))
    return times(TX_RAMPS.toLab, times(TX_RAMPS.toLms, rgb).map(Math.cbrt))
  }
  const rgb = (lab) => {
    const lin = times(TX_RAMPS.fromLms, times(TX_RAMPS.fromLab, lab).map((c) => c ** 3))
    return lin.map((c) => Math.floor(gamma(Math.min(1, Math.max(0, c))) * 255 + 0.5))
  }
  const tables = {}
  // 256 x 3 bytes, the same colours as palette.ramp(kind, dark)
  function lut(kind, dark) {
    const key = `${kind}/${dark ? 1 : 0}`
    if (tables[key]) return tables[key]
    const stops = TX_RAMPS.stops[kind][dark ? 1 : 0].map(oklab)
    const legs = stops.slice(1).map((stop, i) => Math.hypot(...stop.map((c, axis) => c - stops[i][axis])))
    const total = legs.reduce((a, b) => a + b, 0)
    let at = 0
    const places = kind === "signed" ? [0, 0.5, 1] : [0, ...legs.map((leg) => (at += leg) / total)]
    const table = new Uint8ClampedArray(256 * 3)
    for (let i = 0; i < 256; i++) {
      const x = i / 255
      let leg = 0
      while (leg < places.length - 2 && x > places[leg + 1]) leg++
      const part = (x - places[leg]) / (places[leg + 1] - places[leg])
      table.set(rgb(stops[leg].map((c, axis) => c + part * (stops[leg + 1][axis] - c))), i * 3)
    }
    return (tables[key] = table)
  }
  // Position 0..255 of a number on a scale from low to high, as palette.Scale.index
  const index = (value, low, high) => Math.floor(Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * 255 + 0.5)
  function rampColour(kind, value, low, high, dark) {
    const table = lut(kind, dark)
    const i = index(value, low, high) * 3
    return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`
  }

  // --- the theme: whatever decides it (page, notebook, system), color-scheme is what it comes down to -----------------
  const resolved = (el, value) => {
    const probe = document.createElement("i")
    probe.style.cssText = `position:absolute;visibility:hidden;color:${value}`
    const host = el.shadowRoot ?? el
    host.append(probe)
    const answer = getComputedStyle(probe).color
    probe.remove()
    return answer
  }
  const isDark = (el) => resolved(el, "light-dark(rgb(0,0,0),rgb(255,255,255))") === "rgb(255, 255, 255)"
  const colour = (el, meaning) => resolved(el, `var(--tx-${meaning})`) // for canvas; in CSS use var(--tx-...) itself
  // Calls back with true or false whenever light becomes dark or back. A colour transition on a probe reports every cause.
  function onTheme(el, callback) {
    const probe = document.createElement("i")
    probe.setAttribute("aria-hidden", "true")
    probe.style.cssText =
      "position:absolute;width:1px;height:1px;opacity:0;pointer-events:none;transition:color 1ms!important;color:light-dark(#000001,#fffffe)"
    ;(el.shadowRoot ?? el).append(probe)
    probe.addEventListener("transitionend", () => callback(isDark(el)))
    return () => probe.remove()
  }

  // Bokeh, where we may change how it works: a release that was tried, on a page of our own; in a notebook there are others' figures, too.
  const ownBokeh = () => {
    const bokeh = globalThis.Bokeh
    return bokeh?.require && bokeh.version.startsWith("3.9.") && !globalThis.PyViz ? bokeh : null
  }

  const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches

  // A token that is nothing but spaces can be seen where it stands alone, as text.
  const alone = (text) => (text.trim() ? text : text.replaceAll(" ", "␣"))

  // Acts now, or as soon as nothing in el is pressed any more: what moves or is replaced between press and release takes the click away.
  const RELEASES = ["pointerup", "pointercancel", "keyup"]
  function released(el, act) {
    if (!el.matches(":active")) return act()
    const over = () => {
      for (const kind of RELEASES) removeEventListener(kind, over, true)
      setTimeout(act)
    }
    for (const kind of RELEASES) addEventListener(kind, over, true)
  }

  // A canvas of one byte per cell through a colour map: what = {data: Uint8Array, rows, columns, kind}
  function paint(canvas, what, dark) {
    const table = lut(what.kind, dark)
    canvas.width = what.columns
    canvas.height = what.rows
    const image = new ImageData(what.columns, what.rows)
    for (let i = 0; i < what.data.length; i++) {
      const from = what.data[i] * 3
      image.data.set([table[from], table[from + 1], table[from + 2], what.mask && !what.mask[i] ? 0 : 255], i * 4)
    }
    canvas.getContext("2d").putImageData(image, 0, 0)
  }

  function download(name, blob) {
    const link = h("a", {href: URL.createObjectURL(blob), download: name})
    document.body.append(link)
    link.click()
    link.remove()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  }

  return {h, s, blanks, alone, number, percent, grouped, lut, index, rampColour, isDark, colour, onTheme, reducedMotion, released, ownBokeh, paint, download}
})()
