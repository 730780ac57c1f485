// What if: the same logits at other temperatures, and the same intervals with other seeds.

import {chance, plain} from "../../decoding/pipeline.js"
import {h} from "../../toolkit/elements.js"
import {grouped, number} from "../../toolkit/numbers.js"
import {patch, v} from "../../toolkit/patch.js"
import {summed, sweep, tally, untempered} from "./what_if_numbers.js"

const HEIGHT = 190
const TEMPERATURES = Array.from({length: 30}, (_x, i) => 0.03 + 1.97 * (i / 29) ** 1.8) // denser where curves bend

export function temperatures(ctx) {
  const {w} = ctx
  const frame = h("div", {class: "curves"})
  let wide = 320
  let curves = null // of the newest run
  new ResizeObserver(([{contentRect}]) => {
    if (!contentRect.width || Math.abs(contentRect.width - wide) <= 1) return
    wide = Math.round(contentRect.width)
    if (ctx.shown) show()
  }).observe(frame)

  function measure() {
    const ranks = [...Array(Math.min(6, untempered(ctx.shown.reordered).end)).keys()]
    const rank = ctx.shown.draw.rank
    if (!ranks.includes(rank)) ranks.push(rank)
    if (curves?.reordered !== ctx.shown.reordered || curves.ranks.join() !== ranks.join())
      curves = {reordered: ctx.shown.reordered, ranks, values: sweep(ctx.shown.reordered, ranks, TEMPERATURES)}
  }

  function show() {
    // false: not finished; the rest comes in the next turn, so that a drag of a slider does not wait
    if (!summed(ctx.shown.reordered, TEMPERATURES, 4)) return false
    measure()
    const t = ctx.settings.temperature
    const [left, right, bottom] = [34, wide - 84, HEIGHT - 22]
    const top = Math.max(...curves.values.flat(), 0.01)
    const most = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((step) => step >= top) ?? 1
    const x = (value) => left + (Math.min(2, value) / 2) * (right - left)
    const y = (p) => bottom - (p / most) * (bottom - 8)
    const drawn = ctx.shown.draw.rank
    const ends = curves.ranks.map((rank, i) => ({rank, i, y: y(curves.values[curves.values.length - 1][i])})).sort((a, b) => a.y - b.y)
    let at = 6
    for (const end of ends) at = end.label = Math.max(end.y, at + 12.5)
    const over = Math.max(0, at - (bottom + 4))
    if (over)
      ends.reduceRight((below, end) => {
        end.label = Math.min(end.label, below - 12.5)
        return end.label
      }, bottom + 16.5)
    const now = ctx.shown.stages.find((stage) => stage.name === "temperature")
    const marks = curves.ranks.map((rank) => chance(now, rank))
    const path = (i) => curves.values.map((row, j) => `${j ? "L" : "M"}${x(TEMPERATURES[j]).toFixed(1)} ${y(row[i]).toFixed(1)}`).join("")
    const lines = ends.map(({rank, i, y: end, label}) =>
      v(
        "g",
        {class: `curve${rank === drawn ? " hit" : ""}`},
        v("path", {d: path(i)}),
        v("path", {class: "lead", d: `M${right} ${end.toFixed(1)}L${right + 8} ${label.toFixed(1)}`}),
        v("text", {x: right + 11, y: label + 4}, short(ctx.name(ctx.shown.row.ids[rank]))),
        t <= 2 ? v("circle", {cx: x(t), cy: y(marks[i]), r: 3}) : null,
      ),
    )
    const ticks = [0, 0.5, 1, 1.5, 2].map((at) => v("text", {class: "tick", x: x(at), y: HEIGHT - 6, "text-anchor": "middle"}, String(at)))
    const scale = [0, most / 2, most].map((p) => [
      v("line", {class: "grid", x1: left, x2: right, y1: y(p), y2: y(p)}),
      v("text", {class: "tick", x: left - 5, y: y(p) + 4, "text-anchor": "end"}, `${number(p * 100, 3)} %`),
    ])
    const here = v("line", {class: "now", x1: x(t), x2: x(t), y1: 4, y2: bottom})
    patch(
      frame,
      v(
        "svg",
        {width: wide, height: HEIGHT, role: "img", "aria-label": `${w.sweep}: ${w.sweep_now.replace("{t}", plain(t))}`},
        scale,
        here,
        lines,
        ticks,
      ),
    )
  }
  const short = (text) => (text.length > 10 ? `${text.slice(0, 9)}…` : text)
  return {
    root: h("section", {class: "sweep", "data-alone": true}, h("h4", null, w.sweep), h("p", {class: "note"}, w.sweep_note), frame),
    show,
  }
}

export function seeds(ctx) {
  const {w} = ctx
  const rows = h("tbody")
  rows.addEventListener("click", ({target}) => {
    if (target.dataset.seed !== undefined) ctx.seed(Number(target.dataset.seed))
  })
  const caption = h("caption", {class: "words"}, w.seeds)
  const column = (text, kind = "") => h("th", {scope: "col", class: kind}, text)
  const table = h(
    "table",
    {class: "many-seeds"},
    caption,
    h(
      "thead",
      null,
      h("tr", null, column(w.token), column(w.drawn_times, "chart"), column(w.expected, "number"), column(w.first_seed, "number")),
    ),
    rows,
  )

  function show() {
    const {shown, model} = ctx
    const uniforms = model.uniforms
    const n = uniforms.length
    if (!n) return
    const found = tally(shown, uniforms)
    const {last} = shown
    const listed = [...Array(Math.min(8, last.kept)).keys()].map((i) => i + last.start)
    if (!listed.includes(shown.draw.rank)) listed.push(shown.draw.rank)
    const counts = listed.map((rank) => found.get(rank)?.count ?? 0)
    const rest = n - counts.reduce((a, b) => a + b, 0)
    const p = listed.map((rank) => chance(last, rank))
    const left = last.kept - listed.length
    const missing = left > 0 ? Math.max(0, 1 - p.reduce((a, b) => a + b, 0)) : 0
    const top = Math.max(...counts, ...p.map((x) => x * n), rest, missing * n, 1)
    const line = (name, count, share, seed, kind) =>
      v(
        "tr",
        {class: kind, "data-count": count},
        v("th", {scope: "row", class: "token"}, name),
        v(
          "td",
          {class: "chart"},
          v(
            "span",
            {class: `bar${kind === "rest" ? " others" : ""}`, "aria-hidden": "true"},
            v("i", {style: `width:${(count / top) * 100}%`}),
            v("u", {style: `left:${((share * n) / top) * 100}%`}),
          ),
          v("span", {class: "said"}, grouped(String(count))),
        ),
        v("td", {class: "number"}, `${(share * n).toFixed(share * n < 10 ? 1 : 0)} ± ${Math.sqrt(n * share * (1 - share)).toFixed(1)}`),
        v(
          "td",
          {class: "number"},
          seed === undefined
            ? "–"
            : v("button", {type: "button", title: w.take_seed.replace("{seed}", String(seed)), "data-seed": seed}, String(seed)),
        ),
      )
    patch(
      rows,
      listed.map((rank, i) =>
        line(ctx.name(shown.row.ids[rank]), counts[i], p[i], found.get(rank)?.seed, rank === shown.draw.rank ? "hit" : ""),
      ),
      left > 0 ? line(w.others.replace("{n}", grouped(String(left))), rest, missing, undefined, "rest") : null,
    )
  }
  return {
    root: h(
      "section",
      {class: "seeds", "data-alone": true},
      h("h4", null, w.seeds),
      h("p", {class: "note"}, w.seeds_note),
      h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": w.seeds}, table),
    ),
    show,
  }
}
