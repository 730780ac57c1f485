// The picture as one <svg>, for the PNG and SVG files: what the canvas draws as an image, all words (those on the canvas, too) as text nodes.
import {h, SVG, s} from "../../toolkit/elements.js"
import {ellipsis} from "./core.js"
import {rgb} from "./theme.js"

const SCALE = 2 // pixels of the image per pixel of the page
const SKIP = ".play, .quiet, .tip, .live, .spot, .pager button, .windowbar input, .chips, progress" // buttons make no sense on paper

const plain = (text) => `rgb(${rgb(text).map(Math.round).join(",")})`
const alpha = (text) => (/^rgba|\//.test(text) ? Number(text.match(/[\d.e-]+(?=\))/)) : 1)

function word(text, x, y, anchor, font, colour, opacity = 1) {
  return s(
    "text",
    {
      x: x.toFixed(2),
      y: y.toFixed(2),
      "text-anchor": anchor,
      fill: plain(colour),
      ...(opacity < 1 ? {"fill-opacity": opacity} : {}),
      style: {font, "white-space": "pre"},
    },
    text,
  )
}

// Draws once more, finished and without hover, into a canvas of its own, and catches the words on their way to it.
function snapshot(app) {
  const canvas = h("canvas", {width: Math.round(app.W * SCALE), height: Math.round(app.L.H * SCALE)})
  const ctx = canvas.getContext("2d")
  const words = []
  ctx.fillText = (text, x, y) => {
    const m = ctx.getTransform()
    if (m.b !== 0) {
      CanvasRenderingContext2D.prototype.fillText.call(ctx, text, x, y)
      return
    }
    const to = m.transformPoint(new DOMPoint(x, y - (ctx.measureText(text).alphabeticBaseline ?? 0)))
    const anchor = {center: "middle", right: "end", end: "end"}[ctx.textAlign] ?? "start"
    const ink = ctx.fillStyle.startsWith("#")
      ? `rgb(${[1, 3, 5].map((i) => parseInt(ctx.fillStyle.slice(i, i + 2), 16)).join(",")})`
      : ctx.fillStyle
    words.push(word(String(text), to.x / SCALE, to.y / SCALE, anchor, ctx.font, ink, alpha(ink) * ctx.globalAlpha))
  }
  const {ctx: own, dpr, hover, lit, pointed, motion} = app
  const {run, mix} = motion
  Object.assign(app, {ctx, dpr: SCALE, hover: null, lit: [], pointed: null})
  Object.assign(motion, {run: 1, mix: 1})
  try {
    app.draw()
  } finally {
    Object.assign(motion, {run, mix})
    Object.assign(app, {ctx: own, dpr, hover, lit, pointed})
    app.draw() // as before: what is under the pointer is looked up in what the last drawing has noted
  }
  return {canvas, words}
}

const rect = (box, colour, more = {}) =>
  s("rect", {x: box.x.toFixed(2), y: box.y.toFixed(2), width: box.width.toFixed(2), height: box.height.toFixed(2), fill: colour, ...more})

// Signs of the legend that style sheets draw with gradients.
const SIGNS = {
  ramp(app, box, n) {
    const table = app.theme[n.classList.contains("p") ? "probability" : "signed"]
    return Array.from({length: 16}, (_, i) =>
      rect(
        {...box, x: box.x + (i * box.width) / 16, width: box.width / 16 + 0.2},
        `rgb(${table.slice(i * 17 * 3, i * 17 * 3 + 3).join(",")})`,
      ),
    )
  },
  expert: (app, b) => [
    rect({...b, width: b.width * 0.45}, plain(app.theme.of("sunken"))),
    rect({...b, x: b.x + b.width * 0.55, width: b.width * 0.45}, plain(app.theme.of("mlp"))),
  ],
  share: (app, box) => [
    rect({...box, height: box.height * 0.7}, plain(app.theme.of("value"))),
    rect({...box, y: box.y + box.height * 0.72, height: box.height * 0.28}, plain(app.theme.blend("surface", "value", 0.55))),
  ],
  ticks: (app, box) =>
    [0, 4, 8, 12].map((y) =>
      rect({...box, y: box.y + y, height: Math.min(2, box.height - y)}, plain(app.theme.blend("surface", "value", 0.45))),
    ),
  fan: (app, b) => [
    s("polygon", {
      points: `${b.x},${b.y} ${b.x + b.width},${b.y + 0.4 * b.height} ${b.x + b.width},${b.y + 0.6 * b.height} ${b.x},${b.y + b.height}`,
      fill: plain(app.theme.of("focus-mid")),
    }),
  ],
  shut: (app, b) => [rect(b, plain(app.theme.blend("surface", "closed", 0.25)), {stroke: plain(app.theme.of("closed")), rx: 3})],
  bars: (app, box) => [
    rect({...box, width: box.width * 0.4}, plain(app.theme.of("value"))),
    rect({...box, x: box.x + box.width * 0.6, width: box.width * 0.4}, plain(app.theme.of("mlp"))),
  ],
}

// Background and border of an element, if it has any.
function ground(app, n, box, style) {
  const sign = n.classList.contains("sign") && Object.keys(SIGNS).find((name) => n.classList.contains(name))
  if (sign) return SIGNS[sign](app, box, n)
  const edge = parseFloat(style.borderTopWidth)
  const filled = alpha(style.backgroundColor) > 0
  const hatched = n.matches(".next.rest u")
  if (!filled && !edge && !hatched) return []
  const inner = {x: box.x + edge / 2, y: box.y + edge / 2, width: Math.max(0, box.width - edge), height: Math.max(0, box.height - edge)}
  const radius = style.borderTopLeftRadius.endsWith("%")
    ? inner.width / 2
    : Math.min(parseFloat(style.borderTopLeftRadius), inner.height / 2)
  const colour = hatched ? plain(app.theme.blend("surface", "focus-mid", 0.3)) : filled ? plain(style.backgroundColor) : "none"
  return [rect(inner, colour, {rx: radius, ...(edge ? {stroke: plain(style.borderTopColor), "stroke-width": edge} : {})})]
}

// The lines of a text node as they stand on screen: [text, box].
function lines(text) {
  const range = document.createRange()
  range.selectNodeContents(text)
  const boxes = [...range.getClientRects()]
  if (boxes.length < 2) return boxes.map((box) => [text.data, box])
  const found = []
  for (let i = 0; i < text.data.length; i++) {
    range.setStart(text, i)
    range.setEnd(text, i + 1)
    const box = range.getBoundingClientRect()
    const last = found.at(-1)
    if (last && (!box.width || Math.abs(box.top - last[1].top) < 4)) {
      last[0] += text.data[i]
      last[1] = new DOMRect(last[1].x, last[1].y, Math.max(last[1].right, box.right) - last[1].x, last[1].height)
    } else found.push([text.data[i], box])
  }
  return found.map(([line, box]) => [line.trim(), box])
}

function wordsOf(app, text, zero) {
  const n = text.parentElement
  const style = getComputedStyle(n)
  const font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`
  app.ctx.font = font
  const cut = style.textOverflow === "ellipsis" && n.scrollWidth > n.clientWidth
  return lines(text)
    .filter(([line, box]) => line.trim() && box.width)
    .map(([line, box]) => {
      const shown = cut ? ellipsis(app.ctx, line, n.clientWidth) : line
      const {fontBoundingBoxAscent: up, fontBoundingBoxDescent: down} = app.ctx.measureText(shown)
      const anchor = cut ? "start" : ({center: "middle", right: "end", end: "end"}[style.textAlign] ?? "start")
      const x = {start: cut ? n.getBoundingClientRect().left : box.left, middle: (box.left + box.right) / 2, end: box.right}[anchor]
      return word(shown, x - zero.left, box.top + (box.height - up - down) / 2 + up - zero.top, anchor, font, style.color)
    })
}

// Everything over and under the canvas, in the order of the page.
function collect(app, parent, zero, into) {
  for (const n of parent.childNodes) {
    if (n.nodeType === Node.TEXT_NODE) into.push(...wordsOf(app, n, zero))
    else if (n.nodeType === Node.ELEMENT_NODE && n !== app.canvas && !n.matches(SKIP) && n.checkVisibility()) {
      const on = n.getBoundingClientRect()
      const box = {x: on.left - zero.left, y: on.top - zero.top, width: on.width, height: on.height}
      if (n instanceof HTMLCanvasElement) into.push(s("image", {href: n.toDataURL(), ...box}))
      else {
        into.push(...ground(app, n, box, getComputedStyle(n)))
        collect(app, n, zero, into)
      }
    }
  }
}

export function asSvg(app) {
  const zero = app.root.getBoundingClientRect()
  const size = {width: Math.ceil(zero.width), height: Math.ceil(zero.height)}
  const {canvas, words} = snapshot(app)
  const around = []
  const font = app.ctx.font
  for (const part of [app.dom.stage, app.grid.panel, app.dom.legend]) if (!part.hidden) collect(app, part, zero, around)
  app.ctx.font = font
  const image = s("image", {href: canvas.toDataURL(), x: 0, y: 0, width: canvas.width / SCALE, height: canvas.height / SCALE})
  return s("svg", {xmlns: SVG, ...size, viewBox: `0 0 ${size.width} ${size.height}`}, image, words, around)
}
