// The sampling bench: knobs, what each stage leaves, the draw, and what else could have been. Everything moves here, in the browser; the server
// is told and confirms. Each part (dials.js, stages.js, bar.js, way.js, others.js) is a function of `bench` and returns {root, show}.
import {alone, h} from "../../toolkit/elements.js"
import {grouped} from "../../toolkit/numbers.js"
import {bar} from "./cumulative.js"
import {draw, front, KNOBS, pipeline} from "./pipeline.js"
import {dials} from "./sliders.js"
import {stages} from "./stages.js"
import {way} from "./token_path.js"
import {seeds, temperatures} from "./what_if.js"

export function render({model, el}) {
  const w = model.words
  const same = (a, b) => Boolean(a && b) && KNOBS.every((key) => Math.abs(a[key] - b[key]) < 1e-12)
  let wanted = null // what a person has just set, until the server has heard of it
  let asked = null // the same for the seed
  let timer = 0
  let turned = null // which knob was turned last: its first turn decides what "before" means
  let names = new Map()

  const bench = {
    model,
    w,
    settings: {...model.settings},
    shown: null,
    before: null,
    chosen: -1,
    size: 0,
    raw: null,
    front: null,
    likeliest: -1,
    text: {ids: [], names: []},
    name: (id) =>
      alone(
        names.get(id) ??
          (id === model.answer?.token && model.answer.name !== undefined ? model.answer.name : w.id.replace("{id}", grouped(String(id)))),
      ),
    rankOf: (id) => (id < 0 ? -1 : bench.shown.row.ids.indexOf(id)),
    gram: (at) => bench.text.names.slice(at, at + bench.settings.no_repeat_ngram_size).join(""),
    // The server's token where it has answered for these settings: among tokens with equal logits it alone knows which was kept.
    drawn: () => {
      const known = same(model.answer, bench.settings) && model.answer.seed === bench.settings.seed && !model.answer.none
      const id = known ? model.answer.token : bench.shown.row.ids[bench.shown.draw.rank]
      return {id, name: bench.name(id)}
    },
    choose: (id) => {
      bench.chosen = id
      bench.followed = false
      show()
    },
    // The numbers of the first seeds are here: those are drawn at once, also on a page without a server.
    seed: (value) => {
      const seed = Math.min(2 ** 52, Math.max(0, Math.round(value)))
      model.send_msg({kind: "seed", seed})
      if (seed >= model.uniforms.length || !bench.shown) return seed
      asked = {seed, at: Date.now()}
      bench.settings = {...bench.settings, seed, uniform: model.uniforms[seed]}
      draw()
      return seed
    },
    set: (change, knob, now) => {
      if (knob !== turned || knob === "preset") remember()
      if (knob === null) bench.before = null
      turned = knob
      bench.settings = {...bench.settings, ...change, uniform: bench.settings.uniform, seed: bench.settings.seed}
      wanted = {...bench.settings, at: Date.now()}
      draw()
      bench.tell(now)
    },
    // The server hears of a change at most every 120 ms, and always of the last one.
    tell: (now) => {
      clearTimeout(timer)
      timer = setTimeout(
        () => model.send_msg({kind: "set", ...Object.fromEntries(KNOBS.map((key) => [key, bench.settings[key]]))}),
        now ? 0 : 120,
      )
    },
  }
  const remember = () => {
    if (bench.shown) bench.before = {...bench.shown, settings: {...bench.settings}}
  }

  const parts = [dials(bench), stages(bench), bar(bench), way(bench), temperatures(bench), seeds(bench)]
  const [knobs, what, strip, one, warm, many] = parts
  const none = h("p", {class: "none", role: "status", hidden: true})
  const below = h("div", {class: "result"}, what.root, strip.root, h("div", {class: "lower"}, one.root, warm.root, many.root))
  const ground = h("div", {class: "bench"}, knobs.root, none, below)
  const empty = h("p", {class: "empty"}, w.empty)
  el.append(ground, empty)

  // What a hand on a knob looks at is drawn at once, the rest behind that frame, one part at a time: a drag shows within 50 ms even with a large
  // vocabulary. A part that waits is not put back by the next move of the hand.
  const late = new Set()
  let due = 0
  function follow() {
    const [part] = late
    late.delete(part)
    if (part && bench.shown && part.show() === false) late.add(part) // it goes on in its next turn
    due = late.size ? setTimeout(follow) : 0
  }
  function show() {
    what.show()
    strip.show()
    for (const part of [one, warm, many]) late.add(part)
    if (!due) due = requestAnimationFrame(() => setTimeout(follow))
    const {stages: s, draw: d} = bench.shown
    Object.assign(ground.dataset, {
      kept: s.map((stage) => stage.kept).join(","),
      entropy: s.map((stage) => stage.entropy).join(","),
      token: bench.drawn().id,
      rank: d.rank - s[8].start,
      low: d.low,
      high: d.high,
      uniform: d.uniform,
    })
  }

  function draw() {
    ground.hidden = !bench.raw
    empty.hidden = Boolean(bench.raw)
    if (!bench.raw) return
    const {settings, text} = bench
    const key = `${model.version}/${settings.repetition_penalty}/${settings.no_repeat_ngram_size}`
    if (bench.front?.key !== key) bench.front = {key, ...front(bench.raw, text.ids, settings)}
    knobs.show()
    const answer = same(model.answer, settings) ? model.answer : null
    const nothing = !bench.front.usable || answer?.none
    none.hidden = !nothing
    below.hidden = Boolean(nothing)
    none.textContent = nothing ? (answer?.none ?? w.none) : ""
    if (nothing) return
    bench.shown = pipeline(bench.front, settings, answer)
    if (bench.before && (bench.before.draw.uniform !== bench.shown.draw.uniform || same(bench.before.settings, settings)))
      bench.before = null
    if (bench.chosen < 0 || bench.followed) Object.assign(bench, {chosen: bench.drawn().id, followed: true})
    show()
  }

  function load() {
    const {logits} = model
    bench.raw = logits?.length ? new Float32Array(logits) : null
    Object.assign(bench, {text: model.text, size: logits?.length ?? 0, before: null, front: null, shown: null, chosen: -1, followed: true})
    turned = asked = null // another run has a seed of its own
    Object.assign(bench.settings, {seed: model.settings.seed, uniform: model.settings.uniform})
    names = new Map([...model.text.ids.map((id, i) => [id, model.text.names[i]]), ...model.names])
    bench.likeliest = bench.raw ? bench.raw.reduce((best, x, i) => (x > bench.raw[best] ? i : best), 0) : -1
    draw()
  }

  model.on("version", load)
  model.on("lights", () => {
    if (bench.shown) what.show()
  })
  model.on("settings", () => {
    const now = {...model.settings}
    // the server may still be answering for an earlier place of the slider: what is under the hand stays there
    if (wanted && !same(wanted, now) && Date.now() - wanted.at < 3000)
      Object.assign(now, Object.fromEntries(KNOBS.map((key) => [key, wanted[key]])))
    else wanted = null
    if (asked && asked.seed !== now.seed && Date.now() - asked.at < 3000)
      Object.assign(now, {seed: asked.seed, uniform: model.uniforms[asked.seed]})
    else asked = null
    const known = same(now, bench.settings)
    if (known && bench.shown && now.uniform === bench.settings.uniform) {
      bench.settings = now
      return
    }
    if (!known && bench.shown && !wanted) {
      remember()
      turned = null
    } // turned elsewhere on the page
    bench.settings = now
    draw()
  })
  model.on("answer", () => {
    const {answer} = model
    const s = bench.shown?.stages
    const told = s && same(answer, bench.settings) && answer.seed === bench.settings.seed && !answer.none && names.has(answer.token)
    if (
      told &&
      answer.start === s[8].start &&
      answer.token === bench.shown.row.ids[bench.shown.draw.rank] &&
      s.every((stage, i) => stage.kept === answer.kept[i])
    )
      return
    draw()
  })
  load()
}
