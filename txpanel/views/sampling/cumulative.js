// The draw: the range from 0 to 1, divided by cumulative probabilities; the random number that falls into one of the intervals; and the same number in
// the intervals before the last change of a setting.

import {chance, plain, removedBy} from "../../decoding/pipeline.js"
import {h, quoted} from "../../toolkit/elements.js"
import {grouped, number, percent} from "../../toolkit/numbers.js"
import {patch, v} from "../../toolkit/patch.js"
import {reducedMotion} from "../../toolkit/theme.js"

export function cumulative(ctx) {
  const {w} = ctx
  const strip = h("div", {class: "strip"})
  const sentence = h("p", {class: "sentence", role: "status"})
  const news = h("span")
  const changed = h(
    "div",
    {class: "changed", hidden: true},
    news,
    h("button", {type: "button", class: "plain", "data-alone": true, onclick: () => ctx.set({...ctx.before.settings}, null, true)}, w.back),
  )
  const seed = h("input", {type: "number", class: "exact seed", "data-alone": true, min: 0, step: 1, id: "seed"})
  seed.addEventListener("change", () => {
    seed.value = seed.value === "" ? ctx.settings.seed : ctx.seed(Number(seed.value))
  })
  const roll = h("button", {type: "button", class: "plain", "data-alone": true, onclick: () => ctx.seed(ctx.settings.seed + 1)}, w.roll)
  const again = h("button", {type: "button", class: "plain", "data-alone": true, title: w.replay_title, onclick: replay}, w.replay)
  const append = h("button", {type: "button", class: "append", onclick: () => ctx.model.send_msg({kind: "append", token: ctx.drawn().id})})
  let wide = 1000
  let playing = null
  new ResizeObserver(([{contentRect}]) => {
    if (!contentRect.width || Math.abs(contentRect.width - wide) <= 1) return
    wide = Math.round(contentRect.width) // not measured while painting: that would force a layout of the page in between
    if (ctx.shown) paint()
  }).observe(strip)
  strip.addEventListener("click", ({target}) => {
    if (target.dataset.id !== undefined) ctx.choose(Number(target.dataset.id))
  })

  function interval(shown, i, at, p, y, height, marked) {
    const id = shown.row.ids[shown.last.start + i]
    const name = ctx.name(id)
    const text = name.trim() || name
    const room = Math.floor((p * wide - 8) / 6.4)
    const box = v(
      "rect",
      {
        class: `interval${marked ? " hit" : i % 2 ? " odd" : ""}`,
        x: at * wide,
        y,
        width: Math.max(0.5, p * wide - 1),
        height,
        rx: Math.min(3, (p * wide) / 4),
        "data-id": id,
      },
      v("title", null, `${name}: ${percent(p, 4)}`),
    )
    const words =
      height > 20 && room >= Math.min(3, text.length)
        ? v(
            "text",
            {class: `on${marked ? " hit" : ""}`, x: at * wide + (p * wide) / 2, y: y + height / 2 + 4.5, "text-anchor": "middle"},
            text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text,
          )
        : null
    return [box, words]
  }

  function intervals(shown, y, height) {
    const {p, start} = shown.last
    const {rank, low, high} = shown.draw
    const boxes = []
    const words = []
    let at = 0
    let n = 0
    for (; n < p.length && (p[n] * wide > 2.2 || n < 1) && n < 400; n++) {
      const [box, text] = interval(shown, n, at, p[n], y, height, n + start === rank)
      boxes.push(box)
      words.push(text)
      at += p[n]
    }
    const parts = [v("g", null, boxes), v("g", null, words)]
    if (n >= p.length) return parts
    parts.push(v("rect", {class: "many", x: at * wide, y, width: Math.max(0, (1 - at) * wide), height, fill: "url(#many)"}))
    if (height > 20 && (1 - at) * wide > 90)
      parts.push(
        v(
          "text",
          {class: "many-text", x: ((at + 1) / 2) * wide, y: y + height / 2 + 4, "text-anchor": "middle"},
          w.more.replace("{n}", grouped(String(p.length - n))),
        ),
      )
    if (rank - start >= n)
      parts.push(v("rect", {class: "interval hit", x: low * wide, y, width: Math.max(1.2, (high - low) * wide), height}))
    return parts
  }

  function paint() {
    playing?.cancel() // it runs to an outdated place
    const {before, shown} = ctx
    const u = shown.draw.uniform
    const low = before ? 88 : 62
    const x = u * wide
    const side = x < 60 ? "start" : x > wide - 60 ? "end" : "middle"
    const pattern = v(
      "pattern",
      {id: "many", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"},
      v("line", {y2: 5, class: "hatch"}),
    )
    const ball = v(
      "g",
      {class: "ball", style: `transform:translateX(${x}px)`},
      v("line", {y1: 12, y2: 24}),
      v("line", {y1: 58, y2: before ? 64 : low + 8}),
      before ? v("line", {y1: 78, y2: low + 8}) : null,
      v("circle", {cy: 10, r: 5.5}),
      v("text", {y: low + 22, "text-anchor": side}, `u = ${u.toFixed(6)}`),
    )
    const axis = [0, 0.25, 0.5, 0.75, 1].map((share) =>
      v(
        "text",
        {class: "tick", x: share * wide, y: low + 40, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle"},
        String(share),
      ),
    )
    const past = before ? [v("g", {class: "past"}, intervals(before, 64, 14)), v("text", {class: "tick", x: 0, y: 90}, w.before)] : []
    patch(
      strip,
      v(
        "svg",
        {width: wide, height: low + 46, role: "img", "aria-label": sentence.textContent},
        v("defs", null, pattern),
        v("g", null, intervals(shown, 24, 34)),
        past,
        ball,
        axis,
      ),
    )
  }

  // The number once more from 0, past the intervals of more likely tokens, to its place
  function replay() {
    const ball = strip.querySelector(".ball")
    if (!ball || reducedMotion()) return sentence.animate?.([{opacity: 0.3}, {opacity: 1}], 200)
    const to = `translateX(${ctx.shown.draw.uniform * wide}px)`
    playing = ball.animate(
      [{transform: "translateX(0px)"}, {transform: to, offset: 0.8}, {transform: `${to} scale(1.15)`, offset: 0.9}, {transform: to}],
      {duration: 1400, easing: "cubic-bezier(.3,.1,.3,1)"},
    )
  }

  const put = (text, values) => text.split(/(\{\w+\})/).map((part) => values[part] ?? part)
  const token = (name) => v("b", {class: "token"}, quoted(name))

  function say() {
    const {shown, settings} = ctx
    const {low, high, rank, uniform} = shown.draw
    const drawn = ctx.drawn()
    const {last} = shown
    const best = shown.row.ids[last.start]
    const gone = removedBy(shown, ctx.rankOf(ctx.likeliest))
    const why = gone
      ? [" ", put(w.why_cut, {"{best}": token(ctx.name(ctx.likeliest)), "{stage}": ctx.label(gone.name)})]
      : drawn.id === best
        ? []
        : [" ", put(w.why_not, {"{best}": token(ctx.name(best)), "{p}": percent(last.p[0], 3), "{bound}": last.p[0].toFixed(6)})]
    patch(
      sentence,
      put(w.sentence, {
        "{token}": token(drawn.name),
        "{u}": v("b", null, uniform.toFixed(6)),
        "{low}": low.toFixed(6),
        "{high}": high.toFixed(6),
        "{p}": percent(chance(last, rank), 4),
        "{rank}": grouped(String(rank - last.start + 1)),
        "{seed}": String(settings.seed),
      }),
      why,
    )
    patch(append, w.append, " ", v("span", {class: "token"}, drawn.name))
    if (seed.value !== String(settings.seed) && seed.getRootNode().activeElement !== seed) seed.value = settings.seed
    difference()
  }

  // What the last move of a slider changed, in words, with a way back
  function difference() {
    const {before, shown} = ctx
    if (changed.hidden === Boolean(before)) changed.hidden = !before
    if (!before) return
    const moved = ctx.declared
      .filter(({key}) => before.settings[key] !== ctx.settings[key])
      .map(({key, words}) => `${words.label} ${plain(before.settings[key])} → ${plain(ctx.settings[key])}`)
    const [was, now] = [before.row.ids[before.draw.rank], ctx.drawn().id]
    const [a, b] = [before.last, shown.last]
    patch(
      news,
      v("b", null, moved.join(", ")),
      ": ",
      put(w.changed, {
        "{kept}": `${grouped(String(a.kept))} → ${grouped(String(b.kept))}`,
        "{bits}": `${number(a.entropy, 3)} → ${number(b.entropy, 3)}`,
      }),
      " ",
      put(was === now ? w.still : w.instead, {"{now}": token(ctx.name(now)), "{was}": token(ctx.name(was))}),
    )
  }

  const root = h(
    "div",
    {class: "draw"},
    h(
      "div",
      {class: "top"},
      h("h4", null, w.draw),
      h("span", {class: "spacer"}),
      h("label", {for: "seed"}, w.seed),
      seed,
      roll,
      again,
      append,
    ),
    strip,
    sentence,
    changed,
  )
  return {
    root,
    show: () => {
      say()
      paint()
    },
  }
}
