// The sampling view: sliders, what each stage leaves, the draw, and what would have come with other seeds and temperatures. All of it is computed here,
// in the browser; the server is told and confirms. Each part (sliders, stages, cumulative, token_path, what_if) is a function of `ctx` and returns {root, show}.

import {liveSettings} from "../../decoding/live_settings.js"
import {pipeline, reorderingStages} from "../../decoding/pipeline.js"
import {alone, h} from "../../toolkit/elements.js"
import {grouped} from "../../toolkit/numbers.js"
import {cumulative} from "./cumulative.js"
import {sliders} from "./sliders.js"
import {stages} from "./stages.js"
import {tokenPath} from "./token_path.js"
import {seeds, temperatures} from "./what_if.js"

export function render({model, el}) {
  const w = model.words
  const declared = model.stages
  const keys = declared.map((stage) => stage.key)
  const looking = declared.filter((stage) => stage.looks_back)
  const same = (a, b) => Boolean(a && b) && keys.every((key) => Math.abs(a[key] - b[key]) < 1e-12)
  let wanted = null // settings that a person has just made, until the server confirms them
  let asked = null // the same for the seed
  let timer = 0
  let moved = null // the slider that was moved last: "before" is the state at its first move
  let names = new Map()

  const ctx = {
    model,
    w,
    declared,
    settings: {...model.settings},
    shown: null,
    before: null,
    chosen: -1,
    size: 0,
    raw: null,
    reordered: null,
    likeliest: -1,
    text: {ids: [], names: []},
    name: (id) =>
      alone(
        names.get(id) ??
          (id === model.answer?.token && model.answer.name !== undefined ? model.answer.name : w.id.replace("{id}", grouped(String(id)))),
      ),
    rankOf: (id) => (id < 0 ? -1 : ctx.shown.row.ids.indexOf(id)),
    label: (name) => declared.find((stage) => stage.key === name)?.words.label ?? (name === "logits" ? w.logit : w[name]),
    // The server's token where it has answered for these settings: among tokens with equal logits it alone knows which was kept.
    drawn: () => {
      const known = same(model.answer, ctx.settings) && model.answer.seed === ctx.settings.seed && !model.answer.none
      const id = known ? model.answer.token : ctx.shown.row.ids[ctx.shown.draw.rank]
      return {id, name: ctx.name(id)}
    },
    choose: (id) => {
      ctx.chosen = id
      ctx.followed = false
      show()
    },
    seed: (value) => {
      const seed = Math.min(2 ** 52, Math.max(0, Math.round(value)))
      model.send_msg({kind: "seed", seed})
      if (ctx.shown && takeSeed(seed)) draw()
      return seed
    },
    set: (change, key, now) => {
      if (key !== moved || key === "preset") remember()
      if (key === null) ctx.before = null
      moved = key
      ctx.settings = {...ctx.settings, ...change, uniform: ctx.settings.uniform, seed: ctx.settings.seed}
      wanted = {...ctx.settings, at: Date.now()}
      live.move(change)
      draw()
      ctx.tell(now)
    },
    // Changes are sent to the server at most every 120 ms, and the last one always.
    tell: (now) => {
      clearTimeout(timer)
      timer = setTimeout(
        () => model.send_msg({kind: "set", ...Object.fromEntries(keys.map((key) => [key, ctx.settings[key]]))}),
        now ? 0 : 120,
      )
    },
  }
  // The random numbers of the first seeds were sent along: those are drawn at once, also on a page without a server. Another seed is not shown before the
  // server has answered: beside it the number would be that of the seed before. Returns whether it is one of the first.
  const takeSeed = (seed) => {
    if (!(seed in model.uniforms)) return false
    asked = {seed, at: Date.now()}
    ctx.settings = {...ctx.settings, seed, uniform: model.uniforms[seed]}
    return true
  }
  // A setting was changed elsewhere on the page; that place tells the server
  const live = liveSettings(model.settings_key, {
    alone: true,
    moved: (change, own) => {
      if (own || !ctx.shown) return
      const [key] = Object.keys(change)
      if (key !== moved) remember()
      moved = key
      ctx.settings = {...ctx.settings, ...change, seed: ctx.settings.seed, uniform: ctx.settings.uniform}
      if (change.seed !== undefined) takeSeed(change.seed)
      wanted = {...ctx.settings, at: Date.now()}
      draw()
    },
  })
  model.on("remove", () => live.stop())
  const remember = () => {
    if (ctx.shown) ctx.before = {...ctx.shown, settings: {...ctx.settings}}
  }

  const [controls, what, strip, one, warm, many] = [
    sliders(ctx),
    stages(ctx),
    cumulative(ctx),
    tokenPath(ctx),
    temperatures(ctx),
    seeds(ctx),
  ]
  const none = h("p", {class: "none", role: "status", hidden: true})
  const below = h("div", {class: "result"}, what.root, strip.root, h("div", {class: "lower"}, one.root, warm.root, many.root))
  const ground = h("div", {class: "bench"}, controls.root, none, below)
  const empty = h("p", {class: "empty"}, w.empty)
  el.append(ground, empty)

  // While a slider is dragged, the parts beside it are drawn at once and the rest after that frame, one part at a time: so a drag shows within 50 ms even
  // with a large vocabulary. A further move does not delay a part that waits already.
  const late = new Set()
  let due = 0
  function follow() {
    const [part] = late
    late.delete(part)
    if (part && ctx.shown && part.show() === false) late.add(part) // not finished: continued in its next turn
    due = late.size ? setTimeout(follow) : 0
  }
  function show() {
    what.show()
    strip.show()
    for (const part of [one, warm, many]) late.add(part)
    if (!due) due = requestAnimationFrame(() => setTimeout(follow))
    const {stages: s, last, draw: d} = ctx.shown
    Object.assign(ground.dataset, {
      kept: s.map((stage) => stage.kept).join(","),
      entropy: s.map((stage) => stage.entropy).join(","),
      token: ctx.drawn().id,
      rank: d.rank - last.start,
      low: d.low,
      high: d.high,
      uniform: d.uniform,
    })
  }

  function draw() {
    ground.hidden = !ctx.raw
    empty.hidden = Boolean(ctx.raw)
    if (!ctx.raw) return
    const {settings, text} = ctx
    const key = [model.version, ...looking.map((stage) => settings[stage.key])].join("/")
    if (ctx.reordered?.key !== key) ctx.reordered = {key, ...reorderingStages(ctx.raw, text.ids, settings, declared)}
    controls.show()
    const answer = same(model.answer, settings) ? model.answer : null
    const nothing = !ctx.reordered.usable || answer?.none
    none.hidden = !nothing
    below.hidden = Boolean(nothing)
    none.textContent = nothing ? (answer?.none ?? w.none) : ""
    if (nothing) return
    ctx.shown = pipeline(ctx.reordered, settings, declared, answer)
    if (ctx.before && (ctx.before.draw.uniform !== ctx.shown.draw.uniform || same(ctx.before.settings, settings))) ctx.before = null
    if (ctx.chosen < 0 || ctx.followed) Object.assign(ctx, {chosen: ctx.drawn().id, followed: true})
    show()
  }

  function load() {
    const {logits} = model
    ctx.raw = logits?.length ? new Float32Array(logits) : null
    Object.assign(ctx, {
      text: model.text,
      size: logits?.length ?? 0,
      before: null,
      reordered: null,
      shown: null,
      chosen: -1,
      followed: true,
    })
    moved = asked = null // another run has a seed of its own
    Object.assign(ctx.settings, {seed: model.settings.seed, uniform: model.settings.uniform})
    names = new Map([...model.text.ids.map((id, i) => [id, model.text.names[i]]), ...model.names])
    ctx.likeliest = ctx.raw ? ctx.raw.reduce((best, x, i) => (x > ctx.raw[best] ? i : best), 0) : -1
    draw()
  }

  model.on("version", load)
  model.on("lights", () => {
    if (ctx.shown) what.show()
  })
  model.on("settings", () => {
    const now = {...model.settings}
    // the server may still be answering for an earlier position of the slider: while that may be, the newer settings stay
    if (wanted && !same(wanted, now) && Date.now() - wanted.at < 3000)
      Object.assign(now, Object.fromEntries(keys.map((key) => [key, wanted[key]])))
    else wanted = null
    if (asked && asked.seed !== now.seed && Date.now() - asked.at < 3000)
      Object.assign(now, {seed: asked.seed, uniform: model.uniforms[asked.seed]})
    else asked = null
    const known = same(now, ctx.settings)
    if (known && ctx.shown && now.uniform === ctx.settings.uniform) {
      ctx.settings = now
      return
    }
    if (!known && ctx.shown && !wanted) {
      remember()
      moved = null
    } // changed elsewhere on the page
    ctx.settings = now
    draw()
  })
  model.on("answer", () => {
    const {answer} = model
    const s = ctx.shown?.stages
    const told = s && same(answer, ctx.settings) && answer.seed === ctx.settings.seed && !answer.none && names.has(answer.token)
    if (
      told &&
      answer.token === ctx.shown.row.ids[ctx.shown.draw.rank] &&
      s.every((stage, i) => stage.kept === answer.kept[i] && stage.start === answer.starts[i])
    )
      return
    draw()
  })
  load()
}
