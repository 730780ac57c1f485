// Rotary embedding: each pair of numbers as a line from the centre, which is rotated by the position. Grey before, coloured after, a wedge for the angle.
import {h, s} from "../../toolkit/elements.js"
import {number} from "../../toolkit/numbers.js"
import {reducedMotion} from "../../toolkit/theme.js"

export function render({model}) {
  const root = h("div", {class: "dial-grid"})
  let frame = 0
  const R = 26,
    C = 32

  const point = (angle, r) => [C + r * Math.cos(angle), C - r * Math.sin(angle)]
  const wedge = (from, turn) => {
    const [x0, y0] = point(from, R * 0.55),
      [x1, y1] = point(from + turn, R * 0.55)
    return `M${C} ${C}L${x0} ${y0}A${R * 0.55} ${R * 0.55} 0 ${Math.abs(turn) > Math.PI ? 1 : 0} ${turn > 0 ? 0 : 1} ${x1} ${y1}Z`
  }

  function dial(d) {
    const from = Math.atan2(d.before[1], d.before[0])
    const size = Math.hypot(...d.before),
      r = R * Math.min(1, size / (model.scale || 1))
    const fan = s("path", {class: "fan"}),
      hand = s("line", {class: "after", x1: C, y1: C}),
      dot = s("circle", {class: "tip", r: 2.6})
    const [bx, by] = point(from, r)
    const svg = s(
      "svg",
      {viewBox: "0 0 64 64", "aria-hidden": "true"},
      s("circle", {class: "ring", cx: C, cy: C, r: R}),
      s("path", {class: "axis", d: `M${C - R} ${C}H${C + R}M${C} ${C - R}V${C + R}`}),
      fan,
      s("line", {class: "before", x1: C, y1: C, x2: bx, y2: by}),
      hand,
      dot,
    )
    const turn = (part) => {
      const [x, y] = point(from + d.angle * part, r)
      hand.setAttribute("x2", x)
      hand.setAttribute("y2", y)
      dot.setAttribute("cx", x)
      dot.setAttribute("cy", y)
      fan.setAttribute("d", wedge(from, d.angle * part))
    }
    const degrees = `${number((d.angle * 180) / Math.PI, 3)}°`
    const words = `${d.label}: (${d.before.map((v) => number(v)).join(", ")}) → (${d.after.map((v) => number(v)).join(", ")}), ${degrees}`
    const el = h(
      "button",
      {type: "button", class: "dial", title: words, "aria-label": words, onclick: () => model.send_msg({at: d.at})},
      svg,
      h("span", {class: "pair"}, d.label),
      h("b", null, degrees),
    )
    return {el, turn}
  }

  function build() {
    cancelAnimationFrame(frame)
    const all = model.dials.map(dial)
    root.replaceChildren(...all.map((d) => d.el))
    if (reducedMotion()) return all.forEach((d) => d.turn(1))
    const begin = performance.now()
    const step = (now) => {
      const t = Math.min(1, (now - begin) / 700)
      all.forEach((d) => d.turn(t * t * (3 - 2 * t)))
      if (t < 1) frame = requestAnimationFrame(step)
    }
    all.forEach((d) => d.turn(0))
    frame = requestAnimationFrame(step)
  }

  build()
  model.on("version", () => requestAnimationFrame(build))
  model.on("remove", () => cancelAnimationFrame(frame))
  return root
}
