// The path of one token through the stages: each stage's rule with this token's own numbers.

import {chance, plain, removedBy} from "../../decoding/pipeline.js"
import {rules} from "../../decoding/stage_rules.js"
import {h, quoted} from "../../toolkit/elements.js"
import {grouped, number, percent} from "../../toolkit/numbers.js"
import {patch, v} from "../../toolkit/patch.js"

const FORMAT = {number: (value, digits = 5) => number(value, digits), percent, plain, grouped}

export function tokenPath(ctx) {
  const {w} = ctx
  const title = h("h4", null)
  const list = h("dl", {class: "steps"})
  const pick = h("div", {class: "pick"})
  pick.addEventListener("click", ({target}) => {
    if (target.dataset.id !== undefined) ctx.choose(Number(target.dataset.id))
  })

  const write = (text, values) =>
    text.split(/(\{\w+\})/).map((part) => {
      const name = part.slice(1, -1)
      return part.startsWith("{") && name in values ? v("b", null, String(values[name])) : part
    })
  const n = (value) => number(value, 5)

  // A stage's rule, filled in for the token at a rank
  function rule(i, rank) {
    const {shown, settings, text} = ctx
    const stage = shown.stages[i]
    if (i === 0) return write(w.path_logits, {x: n(stage.values[rank])})
    const declared = ctx.declared[i - 1]
    const before = shown.stages[i - 1]
    const out = rank < stage.start || rank >= stage.end || stage.values[rank] === -Infinity
    const [x, y] = [before.values[rank], stage.values[rank]]
    const at = {
      rank,
      id: shown.row.ids[rank],
      value: settings[declared.key],
      stage,
      before,
      x,
      y,
      p: chance(before, rank),
      out,
      ids: text.ids,
      names: text.names,
      logits: shown.reordered.logits[i - 1],
    }
    const [name, values] = rules[declared.key].path(at, FORMAT)
    return write(declared.words.path[name], values)
  }

  // The probability that a token has after a stage, from its logit there, the largest one and the sum over all that are left
  const share = (stage, rank) =>
    write(w.path_share, {x: n(stage.values[rank]), max: n(stage.max), sum: n(stage.sum), p: percent(chance(stage, rank), 4)})

  function last(rank) {
    const {draw: d, last: stage} = ctx.shown
    const i = rank - stage.start
    const hit = rank === d.rank
    return [
      step(w.renormalise, share(stage, rank)),
      step(
        w.draw,
        write(hit ? w.path_hit : w.path_missed, {low: d.bounds[i].toFixed(6), high: d.bounds[i + 1].toFixed(6), u: d.uniform.toFixed(6)}),
        hit ? "hit" : "",
      ),
    ]
  }

  const step = (name, text, kind = "") => [v("dt", {class: kind}, name), v("dd", {class: kind}, text)]

  function show() {
    const {shown, chosen, declared} = ctx
    const rank = ctx.rankOf(chosen)
    const gone = removedBy(shown, rank)
    const until = gone ? shown.stages.indexOf(gone) : declared.length
    const lines = []
    for (let i = 0; i <= until; i++) {
      const stage = shown.stages[i]
      const name = ctx.label(stage.name)
      if (!stage.active) lines.push(step(name, w.off, "idle"))
      else {
        const text = rule(i, rank)
        const out = i === until && gone
        lines.push(step(name, out ? text : [text, v("div", {class: "share"}, share(stage, rank))], out ? "out" : ""))
      }
    }
    if (!gone) lines.push(...last(rank))
    else lines.push(step(w.draw, w.path_none, "out"))
    patch(title, w.path, " ", v("span", {class: "token"}, quoted(ctx.name(chosen))))
    const [drawn, best] = [ctx.drawn().id, shown.stages[0].values.length ? ctx.likeliest : chosen]
    const jump = (id, text) => v("button", {type: "button", class: "chip", "aria-pressed": String(id === chosen), "data-id": id}, text)
    patch(pick, jump(drawn, w.pick_drawn), jump(best, w.pick_best))
    patch(list, lines)
  }
  return {root: h("section", {class: "path", "data-alone": true}, title, pick, list, h("p", {class: "note"}, w.path_note)), show}
}
