// What a component shows, as one self-contained <svg>: its words as text; backgrounds, borders and bars as shapes; its canvases as images.
import {h, SVG, s} from "./elements.js"

const STYLE = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-opacity",
  "stroke-dasharray",
  "stroke-linecap",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "font-style",
  "text-anchor",
  "dominant-baseline",
  "letter-spacing",
  "visibility",
  "display",
]
const NOT_ON_PAPER = "style, script, .tip, .unseen, .sr, input, select, textarea, progress"
const pen = h("canvas").getContext("2d")
let gradients = 0
const seeThrough = (colour) => colour === "transparent" || /^rgba\(.*, 0\)$|\/ 0\)$/.test(colour)

// The lines of a text node as they stand on the page: [text, box].
function textLines(node) {
  const range = document.createRange()
  range.selectNodeContents(node)
  if (range.getClientRects().length < 2) return [[node.data, range.getBoundingClientRect()]]
  const found = []
  for (let i = 0; i < node.data.length; i++) {
    range.setStart(node, i)
    range.setEnd(node, i + 1)
    const box = range.getBoundingClientRect()
    const last = found.at(-1)
    if (last && (!box.width || Math.abs(box.top - last[1].top) < 4)) last[0] += node.data[i]
    else if (box.width) found.push([node.data[i], box])
  }
  return found
}

function cutTo(text, width) {
  if (pen.measureText(text).width <= width + 1) return text
  let end = text.length
  while (end > 0 && pen.measureText(`${text.slice(0, end)}…`).width > width) end--
  return `${text.slice(0, end)}…`
}

function wordsOnPaper(node, zero) {
  const parent = node.parentElement ?? node.getRootNode().host
  const style = getComputedStyle(parent)
  pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`
  const room = style.textOverflow === "ellipsis" ? parent.clientWidth : Infinity
  return textLines(node)
    .filter(([line, box]) => line.trim() && box.width)
    .map(([line, box]) => {
      const {fontBoundingBoxAscent: up, fontBoundingBoxDescent: down} = pen.measureText(line)
      return s(
        "text",
        {
          x: (box.left - zero.left).toFixed(2),
          y: (box.top - zero.top + (box.height - up - down) / 2 + up).toFixed(2),
          fill: style.color,
          style: {font: pen.font, "white-space": "pre"},
        },
        cutTo(style.whiteSpace.startsWith("pre") ? line : line.replace(/\s+/g, " "), room),
      )
    })
}

// Colour maps of legends are linear gradients; a hatch becomes its colour at half strength.
function gradientOnPaper(image, box) {
  const stops = [...image.matchAll(/((?:rgba?|color|oklab|oklch)\([^()]*\)|transparent)\s*([\d.]+%)?/g)]
  if (!stops.length) return []
  if (image.startsWith("repeating")) return [s("rect", {...box, fill: stops[0][1], "fill-opacity": 0.5})]
  const id = `tx-gradient-${gradients++}`
  return [
    s(
      "linearGradient",
      {id},
      stops.map(([, colour, at], i) => s("stop", {offset: at ?? `${(100 * i) / (stops.length - 1 || 1)}%`, "stop-color": colour})),
    ),
    s("rect", {...box, fill: `url(#${id})`}),
  ]
}

function bordersOnPaper(style, box) {
  const width = (side) => (style[`border${side}Style`] === "none" ? 0 : parseFloat(style[`border${side}Width`]))
  const colour = (side) => style[`border${side}Color`]
  const sides = ["Top", "Right", "Bottom", "Left"].filter((side) => width(side) > 0 && !seeThrough(colour(side)))
  if (!sides.length) return []
  if (box.width <= width("Left") + width("Right") && sides.length === 1) {
    // a triangle drawn with borders
    return [
      s("polygon", {
        points: `${box.x},${box.y} ${box.x + box.width},${box.y} ${box.x + box.width / 2},${box.y + width("Top")}`,
        fill: colour(sides[0]),
      }),
    ]
  }
  if (sides.length === 4) {
    const edge = width("Top")
    return [
      s("rect", {
        x: box.x + edge / 2,
        y: box.y + edge / 2,
        width: Math.max(0, box.width - edge),
        height: Math.max(0, box.height - edge),
        fill: "none",
        rx: Math.min(parseFloat(style.borderTopLeftRadius), box.height / 2),
        stroke: colour("Top"),
        "stroke-width": edge,
        "stroke-dasharray": style.borderTopStyle === "dashed" ? "3 2" : null,
      }),
    ]
  }
  const bar = {
    Top: (w) => ({...box, height: w}),
    Left: (w) => ({...box, width: w}),
    Bottom: (w) => ({...box, y: box.y + box.height - w, height: w}),
    Right: (w) => ({...box, x: box.x + box.width - w, width: w}),
  }
  return sides.map((side) => s("rect", {...bar[side](width(side)), fill: colour(side)}))
}

function groundOnPaper(style, box) {
  const rx = Math.min(parseFloat(style.borderTopLeftRadius) || 0, box.height / 2)
  const filled = seeThrough(style.backgroundColor) ? [] : [s("rect", {...box, rx, fill: style.backgroundColor})]
  const mapped = style.backgroundImage.includes("gradient") ? gradientOnPaper(style.backgroundImage, box) : []
  return [...filled, ...mapped, ...bordersOnPaper(style, box)]
}

function elementOnPaper(node, zero) {
  if (node.matches(NOT_ON_PAPER) || !node.checkVisibility({opacityProperty: true, visibilityProperty: true})) return []
  const on = node.getBoundingClientRect()
  const box = {x: on.left - zero.left, y: on.top - zero.top, width: on.width, height: on.height}
  const style = getComputedStyle(node)
  const parts = groundOnPaper(style, box)
  if (node instanceof HTMLCanvasElement)
    parts.push(s("image", {href: node.toDataURL(), ...box, preserveAspectRatio: "none", style: {"image-rendering": "pixelated"}}))
  else if (node instanceof SVGSVGElement) {
    const copy = standalone(node, on)
    copy.setAttribute("x", box.x)
    copy.setAttribute("y", box.y)
    parts.push(copy)
  } else parts.push(...childrenOnPaper(node, zero))
  return Number(style.opacity) < 1 ? [s("g", {opacity: style.opacity}, parts)] : parts
}
function childrenOnPaper(node, zero) {
  return [...(node.shadowRoot ?? node).childNodes].flatMap((child) =>
    child.nodeType === Node.TEXT_NODE ? wordsOnPaper(child, zero) : child.nodeType === Node.ELEMENT_NODE ? elementOnPaper(child, zero) : [],
  )
}

export function paper(el) {
  const zero = el.getBoundingClientRect()
  const [width, height] = [Math.ceil(zero.width), Math.ceil(zero.height)]
  return s("svg", {xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}`}, childrenOnPaper(el, zero))
}

// A copy of an <svg> that looks the same outside of the page: style sheets and custom properties written out.
export function standalone(svg, box) {
  const copy = svg.cloneNode(true)
  const [from, to] = [
    [svg, ...svg.querySelectorAll("*")],
    [copy, ...copy.querySelectorAll("*")],
  ]
  from.forEach((node, i) => {
    const style = getComputedStyle(node)
    for (const name of STYLE) if (style.getPropertyValue(name)) to[i].style.setProperty(name, style.getPropertyValue(name))
  })
  copy.setAttribute("width", box.width)
  copy.setAttribute("height", box.height)
  copy.setAttribute("xmlns", SVG)
  return copy
}
