// One token's way through the stages: each stage's rule with this token's own numbers.
import {h} from "../../toolkit/elements.js"
import {grouped, number, percent} from "../../toolkit/numbers.js"
import {patch, v} from "../../toolkit/patch.js"
import {chance, plain, removedBy} from "./pipeline.js"

export function way(bench) {
  const {w} = bench
  const title = h("h4", null)
  const list = h("dl", {class: "steps"})
  const pick = h("div", {class: "pick"})
  pick.addEventListener("click", ({target}) => {
    if (target.dataset.id !== undefined) bench.choose(Number(target.dataset.id))
  })

  const write = (text, values) =>
    text.split(/(\{\w+\})/).map((part) => {
      const name = part.slice(1, -1)
      return part.startsWith("{") && name in values ? v("b", null, values[name]) : part
    })
  const n = (value) => number(value, 5)

  // [key of the words, values] for the rule of each stage
  function rule(i, rank) {
    const {shown, settings} = bench
    const s = shown.stages
    const stage = s[i]
    const before = s[i - 1]
    const out = rank < stage.start || rank >= stage.end || stage.values[rank] === -Infinity
    const id = shown.row.ids[rank]
    const x = before?.values[rank]
    if (i === 0) return ["way_logits", {x: n(stage.values[rank])}]
    if (i === 1) {
      if (!bench.text.ids.includes(id)) return ["way_new", {x: n(x)}]
      return [x < 0 ? "way_times" : "way_over", {x: n(x), r: plain(settings.repetition_penalty), y: n(stage.values[rank])}]
    }
    if (i === 2) return out ? ["way_gram", {gram: bench.gram(shown.runs.get(id))}] : ["way_no_gram", {n: settings.no_repeat_ngram_size}]
    if (i === 3)
      return settings.temperature === 0
        ? [out ? "way_not_largest" : "way_largest", {}]
        : ["way_divided", {x: n(x), t: plain(settings.temperature), y: n(x / settings.temperature)}]
    const p = chance(before, rank)
    if (i === 4) return [out ? "way_beyond" : "way_within", {rank: grouped(String(rank + 1)), k: grouped(String(settings.top_k))}]
    if (i === 5) {
      let sum = 0
      for (let r = before.start; r < rank; r++) sum += chance(before, r)
      return [out ? "way_reached" : "way_short", {sum: percent(sum, 3), share: percent(settings.top_p, 3)}]
    }
    if (i === 6)
      return [
        out ? "way_less" : "way_enough",
        {p: percent(p, 3), m: plain(settings.min_p), top: percent(before.p[0], 3), limit: percent(settings.min_p * before.p[0], 3)},
      ]
    const far = Math.abs(-Math.log2(p) - before.entropy)
    const limit = stage.limit === undefined ? null : stage.limit / Math.LN2
    return [
      out ? "way_untypical" : "way_typical",
      {s: number(-Math.log2(p), 4), h: number(before.entropy, 4), d: number(far, 4), limit: limit === null ? "–" : number(limit, 4)},
    ]
  }

  // The probability that a token has after a stage, from its logit there, the largest one and the sum over all that are left
  const share = (stage, rank) =>
    write(w.way_share, {x: n(stage.values[rank]), max: n(stage.max), sum: n(stage.sum), p: percent(chance(stage, rank), 4)})

  function last(rank) {
    const {draw: d, stages: s} = bench.shown
    const stage = s[8]
    const i = rank - stage.start
    const hit = rank === d.rank
    return [
      step(w.renormalise, share(stage, rank)),
      step(
        w.draw,
        write(hit ? w.way_hit : w.way_missed, {low: d.edges[i].toFixed(6), high: d.edges[i + 1].toFixed(6), u: d.uniform.toFixed(6)}),
        hit ? "hit" : "",
      ),
    ]
  }

  const step = (name, text, kind = "") => [v("dt", {class: kind}, name), v("dd", {class: kind}, text)]

  function show() {
    const {shown, chosen} = bench
    const rank = bench.rankOf(chosen)
    const gone = removedBy(shown, rank)
    const until = gone ? shown.stages.indexOf(gone) : 7
    const lines = []
    for (let i = 0; i <= until; i++) {
      const stage = shown.stages[i]
      const name = w[stage.name]
      if (!stage.active) lines.push(step(name, w.off, "idle"))
      else {
        const [key, values] = rule(i, rank)
        const out = i === until && gone
        lines.push(
          step(
            name,
            out ? write(w[key], values) : [write(w[key], values), v("div", {class: "share"}, share(stage, rank))],
            out ? "out" : "",
          ),
        )
      }
    }
    if (!gone) lines.push(...last(rank))
    else lines.push(step(w.draw, w.way_no_piece, "out"))
    patch(title, w.way, " ", v("span", {class: "token"}, bench.name(chosen)))
    const [drawn, best] = [bench.drawn().id, shown.stages[0].values.length ? bench.likeliest : chosen]
    const jump = (id, text) => v("button", {type: "button", class: "chip", "aria-pressed": String(id === chosen), "data-id": id}, text)
    patch(pick, jump(drawn, w.pick_drawn), jump(best, w.pick_best))
    patch(list, lines)
  }
  return {root: h("section", {class: "way"}, title, pick, list, h("p", {class: "note"}, w.way_note)), show}
}
