// What each stage leaves of the most likely tokens: a row per token, a column per stage, and one row for all other tokens.

import {chance, chanceOf, plain, removedBy} from "../../decoding/pipeline.js"
import {h} from "../../toolkit/elements.js"
import {grouped, number, percent} from "../../toolkit/numbers.js"
import {patch, v} from "../../toolkit/patch.js"

const DECADES = 6 // of the logarithmic scale: from a millionth to 1

export function stages(ctx) {
  const {w} = ctx
  const table = h("table", {class: "stages"})
  table.addEventListener("click", ({target}) => {
    const id = Number(target.closest("tr[data-id]")?.dataset.id ?? NaN)
    const asked = target.closest("button[data-why]")?.dataset.why
    if (asked === "others") asked_of = String(ctx.listed)
    if (asked === "others") ctx.model.send_msg({kind: "why", tensor: "others", listed: ctx.listed})
    else if (asked) ctx.model.send_msg({kind: "why", tensor: asked, ...(Number.isFinite(id) ? {token: id} : {})})
    else if (Number.isFinite(id)) ctx.choose(id)
  })
  const scroll = h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": w.table}, table)
  let log = false
  const box = h("input", {
    type: "checkbox",
    onchange: () => {
      log = box.checked
      show()
    },
  })
  const scale = h("label", {class: "log", title: w.log_title}, box, w.log)

  const share = (p, top) => (log ? (p > 0 ? Math.max(0, 1 + Math.log10(p) / DECADES) : 0) : p / top)
  const bar = (p, top, kind, was) =>
    v(
      "span",
      {class: `bar ${kind}`, "aria-hidden": "true"},
      v("i", {style: `width:${(Math.min(1, share(p, top)) * 100).toFixed(2)}%`}), // rounded: a change that nobody can see needs no new layout
      was === undefined || was === p ? null : v("u", {style: `left:${Math.min(1, share(was, top)) * 100}%`}),
    )
  const why = (tensor, text, id = -1) =>
    v("button", {type: "button", title: w.why, "data-why": tensor, class: lit(tensor, id) ? "lit" : null}, text)
  let asked_of = "" // the list for which the row of all other tokens was asked: another list leaves other tokens
  const lit = (tensor, id) =>
    (tensor !== "others" || asked_of === String(ctx.listed)) && ctx.model.lights.some(([one, name]) => one === id && name === tensor)
  const count = (stage) => (stage.kept === ctx.size ? w.all : w.left).replace("{n}", grouped(String(stage.kept)))

  // The columns in their order: the model's logits, stages that look back at the text, the model's probabilities, the other stages, the final probabilities.
  const shape = ({looks_back, removes}) => (looks_back ? (removes ? "mark" : "logit") : removes ? "cut" : "p")
  const of = (looks_back) =>
    ctx.declared.map((stage, i) => ({stage, i: i + 1, shape: shape(stage)})).filter((one) => one.stage.looks_back === looks_back)
  const last = ctx.declared.length + 1
  const columns = [{i: 0, shape: "raw"}, ...of(true), {i: 0, shape: "p"}, ...of(false), {i: last, shape: "final"}]
  const looks = {raw: "logit", logit: "logit", mark: "cut", cut: "cut", p: "p", final: "p final"} // classes of the cells
  const cell = (one, s, more = "") => `${looks[one.shape]}${more}${s[one.i].active ? "" : " idle"}`

  // What a stage does, below the head of its column
  function doing({stage, shape: kind}, s) {
    if (!s.active) return w.off
    const value = ctx.settings[stage.key]
    const text = value === 0 && stage.words.column_zero ? stage.words.column_zero : stage.words.column
    return kind === "mark" || kind === "cut" || !text ? count(s) : text.replace("{value}", plain(value))
  }

  function head(s) {
    const column = (key, text, sub) => v("th", {scope: "col", class: key}, v("b", null, text), v("small", null, sub))
    const title = (one) => {
      if (one.shape === "raw") return column("logit", w.logit, w.from_model)
      if (one.shape === "final") return column("final", w.final, count(s[last]))
      if (!one.stage) return column("p", w.model_p, w.at_one)
      const {label} = one.stage.words
      return column(
        one.shape === "p" ? "p" : cell(one, s),
        one.shape === "p" ? w.with_stage.replace("{stage}", label) : label,
        doing(one, s[one.i]),
      )
    }
    return v("thead", null, v("tr", null, column("token", w.token, ""), columns.map(title)))
  }

  function line(rank, top) {
    const s = ctx.shown.stages
    const id = ctx.shown.row.ids[rank]
    const gone = removedBy(ctx.shown, rank)
    const where = gone ? s.indexOf(gone) : s.length
    const cut = (one) => {
      const stage = s[one.i]
      if (where < one.i) return v("td", {class: cell(one, s)})
      const here = where === one.i
      const text = !stage.active ? "·" : here ? "✕" : one.shape === "mark" ? "✓" : percent(chance(stage, rank))
      return v(
        "td",
        {class: cell(one, s)},
        v(
          "span",
          {class: !stage.active ? "" : here ? "out" : "kept"},
          text,
          v("span", {class: "words"}, !stage.active ? w.off : here ? w.cut : ""),
        ),
      )
    }
    const probability = (one) => {
      const p = chance(s[one.i], rank)
      const kind = one.shape === "final" ? "final" : one.stage && s[one.i].active ? "" : "soft"
      const look = {class: cell(one, s, kind === "soft" ? " soft" : "")}
      if (where <= one.i) return v("td", look, v("small", {class: "out"}, w.cut_by.replace("{stage}", ctx.label(gone.name))))
      const was = one.shape === "final" && ctx.before ? chanceOf(ctx.before, id) : undefined
      return v("td", look, bar(p, top, kind, was), v("span", {class: "said"}, one.i === 0 ? why("probs", percent(p), id) : percent(p)))
    }
    const logit = (one) => {
      const value = s[one.i].values[rank]
      if (one.shape === "raw") return v("td", {class: "logit"}, why("logits", number(value, 5), id))
      if (!s[one.i].active) return v("td", {class: cell(one, s)}, "·")
      return v("td", {class: cell(one, s)}, v("span", {class: value === s[one.i - 1].values[rank] ? "same" : "changed"}, number(value, 5)))
    }
    const make = {raw: logit, logit, mark: cut, cut, p: probability, final: probability}
    const name = ctx.name(id)
    const title = w.rank.replace("{rank}", grouped(String(rank + 1))).replace("{id}", grouped(String(id)))
    return v(
      "tr",
      {
        class: `${gone ? "gone" : ""}${rank === ctx.shown.draw.rank ? " hit" : ""}${id === ctx.chosen ? " chosen" : ""}`,
        "data-id": id,
        "data-p": s.map((stage) => chance(stage, rank)).join(","),
        "data-gone": gone?.name ?? "",
      },
      v(
        "th",
        {scope: "row", class: "token", title},
        v("button", {type: "button", "data-alone": "", "aria-pressed": String(id === ctx.chosen), title: w.path_title}, name),
      ),
      columns.map((one) => make[one.shape](one)),
    )
  }

  // The row of everything that is not listed: how much of the probability is there, and how many tokens
  function others(listed, top) {
    const s = ctx.shown.stages
    const rest = ctx.size - listed.length
    if (rest <= 0) return null
    const mass = (stage) => {
      let sum = 0
      let n = 0
      for (const rank of listed) {
        const p = chance(stage, rank)
        sum += p
        n += p > 0 ? 1 : 0
      }
      return stage.end - stage.start <= n ? 0 : Math.max(0, 1 - sum)
    }
    const left = (stage) =>
      Math.max(0, stage.kept - listed.filter((rank) => rank >= stage.start && rank < stage.end && stage.values[rank] > -Infinity).length)
    const summed = (one) => {
      const stage = s[one.i]
      const said = percent(mass(stage))
      return v(
        "td",
        {class: cell(one, s, one.shape === "p" ? " soft" : "")},
        bar(mass(stage), top, "others"),
        v("span", {class: "said"}, one.i === 0 ? why("others", said) : said),
      )
    }
    const counted = (one) => v("td", {class: cell(one, s)}, s[one.i].active ? grouped(String(left(s[one.i]))) : "·")
    const empty = (one) => v("td", {class: cell(one, s)})
    const make = {raw: empty, logit: empty, mark: counted, cut: counted, p: summed, final: summed}
    return v(
      "tr",
      {class: "rest", "data-rest": mass(s[last])},
      v("th", {scope: "row", class: "token"}, w.others.replace("{n}", grouped(String(rest)))),
      columns.map((one) => make[one.shape](one)),
    )
  }

  function uncertainty() {
    const s = ctx.shown.stages
    const say = (stage) => w.bits.replace("{n}", number(stage.entropy, 3))
    const bits = (one) => {
      if (looks[one.shape] === "logit") return v("td", {class: cell(one, s)})
      return v("td", {class: cell(one, s)}, !s[one.i].active ? "·" : one.i === 0 ? why("probs.entropy", say(s[0])) : say(s[one.i]))
    }
    return v("tr", {class: "rest bits"}, v("th", {scope: "row", class: "token", title: w.entropy_title}, w.entropy), columns.map(bits))
  }

  function show() {
    const s = ctx.shown.stages
    const rows = Math.min(ctx.model.rows, ctx.size)
    const ranks = [...Array(rows).keys()]
    for (const extra of [ctx.shown.draw.rank, ctx.rankOf(ctx.chosen)]) if (extra >= 0 && !ranks.includes(extra)) ranks.push(extra)
    const barred = columns.filter((one) => one.shape === "p" || one.shape === "final")
    const top = Math.max(...barred.map((one) => s[one.i]).map((stage) => Math.max(...ranks.map((rank) => chance(stage, rank)))), 1e-9)
    ctx.listed = ranks.map((rank) => ctx.shown.row.ids[rank])
    const held = table.getRootNode().activeElement?.closest?.("tr[data-id]")?.dataset.id
    patch(
      table,
      v("caption", {class: "words"}, w.table),
      head(s),
      v(
        "tbody",
        null,
        ranks.map((rank) => line(rank, top)),
        others(ranks, top),
      ),
      v("tfoot", null, uncertainty()),
    )
    const now = held === undefined ? null : table.querySelector(`tr[data-id="${held}"]`) // the token may stand in another row
    if (now && !now.contains(table.getRootNode().activeElement)) now.querySelector("button").focus({preventScroll: true})
  }
  return {root: h("div", {class: "what"}, scale, scroll), show}
}
