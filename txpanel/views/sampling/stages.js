// What each stage leaves of the likeliest tokens: one row a token, one column a stage, and one row for all the others.
import {h} from "../../toolkit/elements.js"
import {grouped, number, percent} from "../../toolkit/numbers.js"
import {patch, v} from "../../toolkit/patch.js"
import {chance, chanceOf, plain, removedBy, STAGES} from "./pipeline.js"

const DECADES = 6 // of the logarithmic scale: from a millionth to 1

export function stages(bench) {
  const {w} = bench
  const table = h("table", {class: "stages"})
  table.addEventListener("click", ({target}) => {
    const id = Number(target.closest("tr[data-id]")?.dataset.id ?? NaN)
    const asked = target.closest("button[data-why]")?.dataset.why
    if (asked === "others") asked_of = String(bench.listed)
    if (asked === "others") bench.model.send_msg({kind: "why", tensor: "others", listed: bench.listed})
    else if (asked) bench.model.send_msg({kind: "why", tensor: asked, ...(Number.isFinite(id) ? {token: id} : {})})
    else if (Number.isFinite(id)) bench.choose(id)
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
      v("i", {style: `width:${Math.min(1, share(p, top)) * 100}%`}),
      was === undefined || was === p ? null : v("u", {style: `left:${Math.min(1, share(was, top)) * 100}%`}),
    )
  const why = (tensor, text, id = -1) =>
    v("button", {type: "button", title: w.why, "data-why": tensor, class: lit(tensor, id) ? "lit" : null}, text)
  let asked_of = "" // those left out of the sum in question: another list has other others
  const lit = (tensor, id) =>
    (tensor !== "others" || asked_of === String(bench.listed)) && bench.model.lights.some(([one, name]) => one === id && name === tensor)
  const count = (stage) => (stage.kept === bench.size ? w.all : w.left).replace("{n}", grouped(String(stage.kept)))

  function head(s) {
    const {settings} = bench
    const column = (key, text, sub, active = true) =>
      v("th", {scope: "col", class: `${key}${active ? "" : " idle"}`}, v("b", null, text), v("small", null, sub))
    return v(
      "thead",
      null,
      v(
        "tr",
        null,
        column("token", w.token, ""),
        column("logit", w.logit, w.from_model),
        column(
          "logit",
          w.repetition_penalty,
          s[1].active ? w.repeated.replace("{value}", plain(settings.repetition_penalty)) : w.off,
          s[1].active,
        ),
        column("cut", w.no_repeat_ngram_size, s[2].active ? count(s[2]) : w.off, s[2].active),
        column("p", w.model_p, w.at_one),
        column(
          "p",
          w.temperature_p,
          settings.temperature === 0 ? w.greedy : s[3].active ? `÷ ${plain(settings.temperature)}` : w.off,
          s[3].active,
        ),
        [4, 5, 6, 7].map((i) => column("cut", w[STAGES[i]], s[i].active ? count(s[i]) : w.off, s[i].active)),
        column("final", w.final, count(s[8])),
      ),
    )
  }

  function line(rank, top) {
    const s = bench.shown.stages
    const id = bench.shown.row.ids[rank]
    const gone = removedBy(bench.shown, rank)
    const where = gone ? s.indexOf(gone) : STAGES.length
    const cut = (i) => {
      const stage = s[i]
      if (where < i) return v("td", {class: `cut${stage.active ? "" : " idle"}`})
      const text = !stage.active ? "·" : where === i ? "✕" : i === 2 ? "✓" : percent(chance(stage, rank))
      return v(
        "td",
        {class: `cut${stage.active ? "" : " idle"}`},
        v(
          "span",
          {class: !stage.active ? "" : where === i ? "out" : "kept"},
          text,
          v("span", {class: "words"}, !stage.active ? w.off : where === i ? w.cut : ""),
        ),
      )
    }
    const probability = (i, kind, was) => {
      const p = chance(s[i], rank)
      const cell = {class: `p ${kind}${s[i].active ? "" : " idle"}`}
      if (where <= i) return v("td", cell, v("small", {class: "out"}, w.cut_by.replace("{stage}", w[gone.name])))
      return v("td", cell, bar(p, top, kind, was), v("span", {class: "said"}, i === 0 ? why("probs", percent(p), id) : percent(p)))
    }
    const name = bench.name(id)
    const title = w.rank.replace("{rank}", grouped(String(rank + 1))).replace("{id}", grouped(String(id)))
    const raw = s[0].values[rank]
    const softer = s[1].values[rank]
    return v(
      "tr",
      {
        class: `${gone ? "gone" : ""}${rank === bench.shown.draw.rank ? " hit" : ""}${id === bench.chosen ? " chosen" : ""}`,
        "data-id": id,
        "data-p": s.map((stage) => chance(stage, rank)).join(","),
        "data-gone": gone?.name ?? "",
      },
      v(
        "th",
        {scope: "row", class: "token", title},
        v("button", {type: "button", "aria-pressed": String(id === bench.chosen), title: w.way_title}, name),
      ),
      v("td", {class: "logit"}, why("logits", number(raw, 5), id)),
      v(
        "td",
        {class: `logit${s[1].active ? "" : " idle"}`},
        !s[1].active ? "·" : v("span", {class: softer === raw ? "same" : "changed"}, number(softer, 5)),
      ),
      cut(2),
      probability(0, "soft"),
      probability(3, s[3].active ? "" : "soft"),
      cut(4),
      cut(5),
      cut(6),
      cut(7),
      probability(8, "final", bench.before ? chanceOf(bench.before, id) : undefined),
    )
  }

  // The row of everything that is not listed: how much of the probability is there, and how many tokens
  function others(listed, top) {
    const s = bench.shown.stages
    const rest = bench.size - listed.length
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
    const share_ = (i, kind) =>
      v(
        "td",
        {class: `p ${kind}${s[i].active ? "" : " idle"}`},
        bar(mass(s[i]), top, "others"),
        v("span", {class: "said"}, i === 0 ? why("others", percent(mass(s[i]))) : percent(mass(s[i]))),
      )
    const number_left = (i) => v("td", {class: `cut${s[i].active ? "" : " idle"}`}, s[i].active ? grouped(String(left(s[i]))) : "·")
    return v(
      "tr",
      {class: "rest", "data-rest": mass(s[8])},
      v("th", {scope: "row", class: "token"}, w.others.replace("{n}", grouped(String(rest)))),
      v("td", {class: "logit"}),
      v("td", {class: `logit${s[1].active ? "" : " idle"}`}),
      number_left(2),
      share_(0, "soft"),
      share_(3, "soft"),
      number_left(4),
      number_left(5),
      number_left(6),
      number_left(7),
      share_(8, "final"),
    )
  }

  function uncertainty() {
    const s = bench.shown.stages
    const say = (stage) => w.bits.replace("{n}", number(stage.entropy, 3))
    const bits = (i, kind) =>
      v("td", {class: `${kind}${s[i].active ? "" : " idle"}`}, !s[i].active ? "·" : i === 0 ? why("probs.entropy", say(s[i])) : say(s[i]))
    return v(
      "tr",
      {class: "rest bits"},
      v("th", {scope: "row", class: "token", title: w.entropy_title}, w.entropy),
      v("td", {class: "logit"}),
      v("td", {class: `logit${s[1].active ? "" : " idle"}`}),
      bits(2, "cut"),
      bits(0, "p"),
      bits(3, "p"),
      bits(4, "cut"),
      bits(5, "cut"),
      bits(6, "cut"),
      bits(7, "cut"),
      bits(8, "p final"),
    )
  }

  function show() {
    const s = bench.shown.stages
    const rows = Math.min(bench.model.rows, bench.size)
    const ranks = [...Array(rows).keys()]
    for (const extra of [bench.shown.draw.rank, bench.rankOf(bench.chosen)]) if (extra >= 0 && !ranks.includes(extra)) ranks.push(extra)
    const top = Math.max(...[s[0], s[3], s[8]].map((stage) => Math.max(...ranks.map((rank) => chance(stage, rank)))), 1e-9)
    bench.listed = ranks.map((rank) => bench.shown.row.ids[rank])
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
