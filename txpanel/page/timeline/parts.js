// Parts of the timeline: the colours of tokens, the track for scrubbing, the bar of the draw, the list of branches.
import {rampColour} from "../../toolkit/colours.js"
import {alone, h} from "../../toolkit/elements.js"
import {grouped, number, percent} from "../../toolkit/numbers.js"
import {colour, reducedMotion} from "../../toolkit/theme.js"

export const COLUMN = {NODE: 0, TEXT: 1, SPECIAL: 2, MODEL_P: 3, P: 4, RANK: 5, BITS: 6, SEED: 7, DRAWN: 8}
export const MOST_BITS = 12 // the end of the surprisal scale: all tokens less likely than 1 in 4,096 look the same

export const tokenColour = (token, mode, dark) =>
  mode === "probability"
    ? rampColour("probability", token[COLUMN.MODEL_P], 0, 1, dark)
    : rampColour("magnitude", token[COLUMN.BITS] ?? MOST_BITS, 0, MOST_BITS, dark)

// Black or white, whichever can be read on rgb(r,g,b): at least 4.5 to 1 on any colour
export function inkOn(rgb) {
  const [r, g, b] = rgb.match(/\d+/g).map((c) => {
    c /= 255
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff"
}

// The probability, rank and surprisal of a token, as lines of text
export const probabilityFacts = (token, w) => [
  `${w.model_p.replace("{p}", percent(token[COLUMN.MODEL_P]))} · ${w.rank.replace("{n}", grouped(String(token[COLUMN.RANK] + 1)))}`,
  `${w.surprisal} ${number(token[COLUMN.BITS] ?? Infinity, 3)} ${w.bits}`,
]

// A token of the prompt in the form of a generated one; null if it has no probability
export const promptToken = (text, special, scored) => (scored ? [0, text, special, scored[0], null, scored[1], scored[2]] : null)

// The facts about a generated token, as lines of text
export function tokenFacts(token, w) {
  const lines = probabilityFacts(token, w)
  lines.push(
    token[COLUMN.DRAWN] ? `${w.drawn_p.replace("{p}", percent(token[COLUMN.P]))}, ${w.seed.replace("{n}", token[COLUMN.SEED])}` : w.chosen,
  )
  return token[COLUMN.SPECIAL] ? [w.special, ...lines] : lines
}

// A canvas with one bar per token, as high as its surprisal; a slider to the keyboard and to screen readers.
export function scrubber(w, {go, hover}) {
  const canvas = h("canvas", {role: "slider", tabindex: 0, "aria-label": w.track, "aria-valuemin": 0})
  const EDGE = 14 // room for the prompt
  let size = 0,
    bars = []
  const step = () => Math.min(26, (canvas.clientWidth - EDGE - 2) / Math.max(1, size))
  const index = (event) => {
    const x = event.clientX - canvas.getBoundingClientRect().left - EDGE
    return Math.max(0, Math.min(size, Math.floor(x / step()) + 1))
  }
  let down = false
  canvas.addEventListener("pointerdown", (event) => {
    down = true
    canvas.setPointerCapture(event.pointerId)
    go(index(event))
  })
  canvas.addEventListener("pointermove", (event) => {
    if (down) go(index(event))
    hover(index(event), event.clientX)
  })
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, () => {
      down = false
    })
  canvas.addEventListener("pointerleave", () => hover(null))
  const paint = (tokens, at, el) => {
    size = tokens.length
    canvas.setAttribute("aria-valuemax", size)
    canvas.setAttribute("aria-valuenow", at)
    canvas.setAttribute(
      "aria-valuetext",
      at ? `${w.step.replace("{i}", at).replace("{n}", size)}: ${tokens[at - 1][COLUMN.TEXT]}` : w.start,
    )
    const [width, height] = [canvas.clientWidth, canvas.clientHeight]
    if (!width) return
    const ratio = window.devicePixelRatio || 1
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
    const pen = canvas.getContext("2d")
    pen.scale(ratio, ratio)
    const [lane, focus] = [colour(el, "lane"), colour(el, "focus")]
    const w1 = step()
    pen.fillStyle = lane
    pen.fillRect(0, height - 3, width, 1)
    pen.beginPath()
    pen.arc(EDGE / 2 - 1, height - 8, 3.5, 0, 7)
    pen.fill()
    bars = tokens.map((token) => Math.max(3, Math.min(1, (token[COLUMN.BITS] ?? MOST_BITS) / MOST_BITS) * (height - 12)))
    tokens.forEach((_token, i) => {
      pen.globalAlpha = i < at ? 1 : 0.38
      pen.fillStyle = i < at ? focus : lane
      pen.fillRect(EDGE + i * w1, height - 3 - bars[i], Math.max(1, w1 - (w1 > 4 ? 2 : 0.5)), bars[i])
    })
    pen.globalAlpha = 1
    const middle = at ? EDGE + (at - 0.5) * w1 - (w1 > 4 ? 1 : 0) : EDGE / 2 - 1
    const x = Math.min(middle, width - 5) // at the end of the track the mark is not cut off
    pen.fillStyle = focus
    pen.fillRect(x - 0.75, 4, 1.5, height - 7)
    pen.beginPath()
    pen.moveTo(x - 5, 0)
    pen.lineTo(x + 5, 0)
    pen.lineTo(x, 7)
    pen.fill()
  }
  return {canvas, paint}
}

// The range from 0 to 1 with its intervals, and the random number that falls into one of them.
// titled(): the tooltip of an interval. take(id): called when it is clicked, as for the token's button below.
export function nextBar(next, w, titled, take) {
  const left = next.choices.filter(([, , p]) => p > 0)
  const end = left.reduce((most, [, , , , high]) => Math.max(most, high), 0)
  const pieces = left.map(([token, text, p, low, high]) =>
    h(
      "span",
      {
        class: `piece${token === next.drawn ? " drawn" : ""}`,
        title: titled(token, text, p),
        onclick: () => take(token),
        style: {left: `${low * 100}%`, width: `${Math.max(0.15, (high - low) * 100)}%`},
      },
      p > 0.05 ? alone(text) : "",
    ),
  )
  // the number of other tokens stands in the larger free part of the bar
  const [low, high] = left.find(([token]) => token === next.drawn)?.slice(3) ?? [0, 0]
  const listed = left.reduce((most, [token, , , , to]) => (token === next.drawn ? most : Math.max(most, to)), 0)
  const [a, b] = low >= listed ? (low - listed > 1 - high ? [listed, low] : [high, 1]) : [end, 1]
  const rest =
    next.rest > 0 && b - a > 0.07
      ? h(
          "span",
          {class: "rest", style: {left: `${a * 100}%`, width: `${(b - a) * 100}%`}},
          w.rest.replace("{n}", grouped(String(next.rest))),
        )
      : null
  const mark = h("i", {class: "at", style: {left: `${next.uniform * 100}%`}})
  const root = h("div", {class: "draw", role: "img", "aria-label": next.sentence}, pieces, rest, mark)
  const replay = () => {
    if (reducedMotion()) return
    mark.animate([{left: "0%"}, {left: `${next.uniform * 100}%`}], {duration: 900, easing: "cubic-bezier(.2,.7,.2,1)"})
    root.querySelector(".drawn")?.animate([{opacity: 1}, {opacity: 0.25}, {opacity: 1}], {duration: 500, delay: 850, iterations: 2})
  }
  return {root, replay}
}

// Every branch as a row: where it splits from the others, its text, and its log-probability
export function branchList(branches, beside, w, choose, compare) {
  const [shared, longest] = [branches[0].shared, Math.max(...branches.map((b) => b.n))]
  const span = Math.max(1, longest - shared)
  const rows = branches.map((b) => {
    const own = b.fork - shared
    const tail = b.tail.map((text, i) => h("span", {class: i < own ? "same" : i === own ? "part" : ""}, text))
    const each = number(b.logp / Math.max(1, b.n), 4) // with as many digits as the sum, which is the same number if there is one token
    const chosen = b.leaf === beside
    const put = b.current
      ? h("span")
      : h(
          "button",
          {
            type: "button",
            class: "put",
            "data-leaf": b.leaf,
            title: w.compare_title,
            "aria-pressed": chosen,
            onclick: () => compare(chosen ? 0 : b.leaf),
          },
          w.compare,
        )
    return h(
      "div",
      {class: "row"},
      h(
        "button",
        {type: "button", class: "branch", "aria-current": b.current, title: b.current ? w.here : w.switch, onclick: () => choose(b.leaf)},
        h("i", {class: "twig", style: {"--from": own / span, "--to": (b.n - shared) / span}}),
        h("span", {class: "tail"}, tail, b.more ? ` … +${b.more}` : ""),
        h(
          "span",
          {class: "sums"},
          h("b", {title: w.logp_title}, w.logp.replace("{value}", number(b.logp, 4))),
          ` · ${w.per.replace("{value}", each)} · ${b.counted} · ${b.current ? w.here : w.parts.replace("{n}", b.fork + 1)}`,
        ),
      ),
      put,
    )
  })
  return [
    h("h3", null, w.branches, h("small", null, w.shared.replace("{tokens}", branches[0].shared_counted))),
    h("div", {class: "rows"}, rows),
  ]
}
