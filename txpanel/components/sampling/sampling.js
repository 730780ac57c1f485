// The sampling bench: dials, what each stage leaves, and the draw. Everything moves here, in the browser; the server is told and confirms.

export function render({model, el}) {
  const {h, s, number, percent} = tx
  const w = model.words
  let row = null // the vocabulary, likeliest first
  let settings = {...model.settings}
  let shown = null
  let wanted = null // what a person has just set, until the server has heard of it
  let timer = 0

  // --- dials ----------------------------------------------------------------------------------------------------
  const DIALS = [
    {key: "temperature", min: 0, max: 2, step: 0.05, off: 1},
    {key: "top_k", min: 0, max: 100, step: 1, off: 0},
    {key: "top_p", min: 0, max: 1, step: 0.01, off: 1},
    {key: "min_p", min: 0, max: 0.5, step: 0.01, off: 0},
  ]
  const dials = DIALS.map((d) => dial(d))

  function dial(d) {
    const id = `dial-${d.key}`
    const range = h("input", {type: "range", id, min: d.min, max: d.max, step: d.step, "aria-describedby": `${id}-note`})
    const box = h("input", {type: "number", class: "exact", min: 0, step: "any", "aria-label": w[d.key]})
    const note = h("p", {class: "note", id: `${id}-note`})
    const set = (value) => {
      if (!Number.isFinite(value) || value < 0) return
      if (d.key === "top_k") value = Math.round(value)
      if (d.key.endsWith("_p")) value = Math.min(1, value)
      settings = {...settings, [d.key]: value}
      wanted = {...settings, at: Date.now()}
      draw(true)
      tell()
    }
    range.addEventListener("input", () => set(Number(range.value)))
    range.addEventListener("change", () => tell(true))
    box.addEventListener("change", () => set(Number(box.value)))
    const root = h("div", {class: "dial"}, h("div", {class: "head"}, h("label", {for: id}, w[d.key]), box), range, note)
    return {...d, root, range, box, note}
  }

  function showDials() {
    for (const d of dials) {
      const value = settings[d.key]
      const off = value === d.off
      if (Number(d.range.value) !== value) d.range.value = value
      if (document.activeElement !== d.box) d.box.value = String(Math.round(value * 1e6) / 1e6)
      d.range.style.setProperty("--part", `${Math.min(1, (value - d.min) / (d.max - d.min)) * 100}%`)
      d.range.setAttribute("aria-valuetext", off ? w.off : String(value))
      d.root.classList.toggle("off", off)
      d.note.textContent = w[`${d.key}_${off ? "off" : value === 0 ? "zero" : "on"}`].replace("{value}", number(value, 3)).replace("{percent}", percent(value))
    }
  }

  // The server hears of a change at most every 120 ms, and always of the last one.
  function tell(now) {
    clearTimeout(timer)
    timer = setTimeout(() => model.send_msg({kind: "set", temperature: settings.temperature, top_k: settings.top_k, top_p: settings.top_p, min_p: settings.min_p}), now ? 0 : 120)
  }

  // --- what each stage leaves -----------------------------------------------------------------------------------------
  const table = h("table", {class: "stages"})
  const scroll = h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": w.table}, table)
  const names = (rank) => model.names[rank] ?? (row && row.ids[rank] === model.answer?.token ? model.answer.name : null)
  const label = (rank) => names(rank) ?? w.id.replace("{id}", tx.grouped(String(row.ids[rank])))
  const same = (a) => a && ["temperature", "top_k", "top_p", "min_p"].every((k) => Math.abs(a[k] - settings[k]) < 1e-12)

  function cells() {
    const rows = Math.min(model.rows, row.ids.length)
    const hit = shown.draw.rank
    const ranks = [...Array(rows).keys()]
    if (hit >= rows) ranks.push(hit)
    return ranks
  }

  function bar(p, top, kind) {
    return h("span", {class: `bar ${kind}`, "aria-hidden": "true"}, h("i", {style: {width: `${Math.max(0, (p / top) * 100)}%`}}))
  }

  function head() {
    const counts = shown.stages.map((stage) => stage.kept)
    const column = (key, text, sub, active = true) => h("th", {scope: "col", class: `${key}${active ? "" : " idle"}`}, h("b", null, text), h("small", null, sub))
    const left = (i) => (counts[i] === row.ids.length ? w.all.replace("{n}", tx.grouped(String(counts[i]))) : w.left.replace("{n}", tx.grouped(String(counts[i]))))
    const [, t, k, p, m] = shown.stages
    return h("thead", null, h("tr", null,
      column("token", w.token, ""), column("logit", w.logit, w.from_model), column("p", w.model_p, w.at_one),
      column("p", w.temperature_p, settings.temperature === 0 ? w.greedy : `÷ ${number(settings.temperature, 3)}`, t.active),
      column("cut", w.top_k, left(2), k.active), column("cut", w.top_p, left(3), p.active), column("cut", w.min_p, left(4), m.active),
      column("final", w.final, w.adds_up)))
  }

  function body() {
    const [first, warm, k, p, m] = shown.stages
    const listed = cells()
    const rest = row.ids.length - listed.length
    const others = (stage) => {
      let sum = 0
      for (const rank of listed) sum += stage.p[rank] ?? 0
      return Math.max(0, stage.kept <= listed.length ? 0 : 1 - sum)
    }
    const top = Math.max(first.p[0], warm.p[0], m.p[0], others(first), others(warm), others(m))
    const hit = shown.draw.rank
    const lines = listed.map((rank) => {
      const gone = rank >= m.kept
      const mark = (stage, before) => h("td", {class: `cut${!stage.active ? " idle" : ""}`},
        rank >= before.kept ? "" : h("span", {class: rank < stage.kept ? "kept" : "out"}, !stage.active ? "·" : rank < stage.kept ? "✓" : "✕",
          h("span", {class: "words"}, !stage.active ? w.off : rank < stage.kept ? w.kept : w.cut)))
      const share = (stage, kind) => h("td", {class: `p ${kind}`, "data-p": rank < stage.kept ? stage.p[rank] : 0},
        bar(stage.p[rank] ?? 0, top, kind), h("span", null, rank < stage.kept ? percent(stage.p[rank]) : "0 %"))
      return h("tr", {class: `${gone ? "gone" : ""}${rank === hit ? " hit" : ""}`, "data-id": row.ids[rank]},
        h("th", {scope: "row", class: "token", title: w.rank.replace("{rank}", tx.grouped(String(rank + 1))).replace("{id}", tx.grouped(String(row.ids[rank])))}, h("span", null, label(rank))),
        h("td", {class: "logit"}, h("button", {type: "button", title: w.why, onclick: () => model.send_msg({kind: "why", token: row.ids[rank]})}, number(row.values[rank], 5))),
        share(first, "soft"), share(warm, warm.active ? "" : "soft"), mark(k, warm), mark(p, k), mark(m, p), share(m, "final"))
    })
    const count = (stage) => Math.max(0, stage.kept - listed.filter((rank) => rank < stage.kept).length)
    const mass = (stage, kind) => h("td", {class: `p ${kind}`}, bar(others(stage), top, "others"), h("span", null, percent(others(stage))))
    const number_left = (stage) => h("td", {class: `cut${stage.active ? "" : " idle"}`}, stage.active ? tx.grouped(String(count(stage))) : "·")
    if (rest > 0) lines.push(h("tr", {class: "rest"}, h("th", {scope: "row", class: "token"}, w.others.replace("{n}", tx.grouped(String(rest)))), h("td", {class: "logit"}, ""),
      mass(first, "soft"), mass(warm, warm.active ? "" : "soft"), number_left(k), number_left(p), number_left(m), mass(m, "final")))
    return h("tbody", null, lines)
  }

  // --- the draw -------------------------------------------------------------------------------------------------------
  const strip = h("div", {class: "strip"})
  const sentence = h("p", {class: "sentence", role: "status"})
  const seed = h("input", {type: "number", class: "exact seed", min: 0, step: 1, id: "seed"})
  seed.addEventListener("change", () => Number.isFinite(Number(seed.value)) && model.send_msg({kind: "seed", seed: Math.max(0, Math.round(Number(seed.value)))}))
  const roll = h("button", {type: "button", class: "roll", onclick: () => model.send_msg({kind: "seed", seed: settings.seed + 1})}, w.roll)
  const append = h("button", {type: "button", class: "append", onclick: () => shown && model.send_msg({kind: "append", token: drawn().id})})

  // The server's token where it has answered for these settings: among tokens with equal logits it alone knows which was kept.
  const drawn = () => {
    const known = same(model.answer) && model.answer.seed === settings.seed ? model.answer : null
    return known ? {id: known.token, name: known.name} : {id: row.ids[shown.draw.rank], name: label(shown.draw.rank)}
  }

  let WIDE = 1000
  new ResizeObserver(() => { if (row && Math.abs(strip.clientWidth - WIDE) > 1) showStrip() }).observe(strip)
  function pieces() {
    const p = shown.stages[4].p
    const {rank: hit, uniform, low, high} = shown.draw
    const parts = []
    let at = 0
    let n = 0
    for (; n < p.length && (p[n] * WIDE > 2.2 || n < 1) && n < 400; n++) {
      parts.push(piece(n, at, p[n], n === hit))
      at += p[n]
    }
    if (n < p.length) {
      parts.push(s("rect", {class: "many", x: at * WIDE, y: 24, width: Math.max(0, (1 - at) * WIDE), height: 34, fill: "url(#many)"}))
      if ((1 - at) * WIDE > 90) parts.push(s("text", {class: "many-text", x: (at + 1) / 2 * WIDE, y: 45, "text-anchor": "middle"}, w.more.replace("{n}", tx.grouped(String(p.length - n)))))
      if (hit >= n) parts.push(s("rect", {class: "piece hit", x: low * WIDE, y: 24, width: Math.max(1.2, (high - low) * WIDE), height: 34}))
    }
    const x = uniform * WIDE
    parts.push(s("g", {class: "ball", style: {transform: `translateX(${x}px)`}}, s("line", {y1: 12, y2: 24}), s("line", {y1: 58, y2: 69}), s("circle", {cy: 10, r: 5.5}),
      s("text", {y: 82, "text-anchor": x < 60 ? "start" : x > WIDE - 60 ? "end" : "middle"}, `u = ${uniform.toFixed(6)}`)))
    const pattern = s("pattern", {id: "many", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"}, s("line", {y2: 5, class: "hatch"}))
    const axis = [0, 0.25, 0.5, 0.75, 1].map((v) => s("text", {class: "tick", x: v * WIDE, y: 100, "text-anchor": v === 0 ? "start" : v === 1 ? "end" : "middle"}, String(v)))
    return s("svg", {width: WIDE, height: 104, role: "img", "aria-label": sentence.textContent}, s("defs", null, pattern), parts, axis)
  }

  function showStrip() {
    WIDE = strip.clientWidth || 1000
    strip.replaceChildren(pieces())
  }

  function piece(rank, at, p, hit) {
    const width = p * WIDE
    const text = label(rank).trim() || label(rank)
    const room = Math.floor((width - 8) / 6.4)
    const box = s("rect", {class: `piece${hit ? " hit" : rank % 2 ? " odd" : ""}`, x: at * WIDE, y: 24, width: Math.max(0.5, width - 1), height: 34, rx: Math.min(3, width / 4)},
      s("title", null, `${label(rank)}: ${percent(p, 4)}`))
    const words = room >= Math.min(3, text.length) ? s("text", {class: `on${hit ? " hit" : ""}`, x: at * WIDE + width / 2, y: 45.5, "text-anchor": "middle"}, text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text) : null
    return [box, words]
  }

  function say() {
    const {low, high, rank} = shown.draw
    const token = drawn()
    sentence.replaceChildren(...w.sentence.split(/(\{\w+\})/).map((part) => ({
      "{token}": h("b", {class: "token"}, token.name), "{u}": h("b", null, shown.draw.uniform.toFixed(6)), "{low}": low.toFixed(6), "{high}": high.toFixed(6),
      "{p}": percent(shown.stages[4].p[rank], 4), "{rank}": tx.grouped(String(rank + 1)), "{seed}": String(settings.seed),
    })[part] ?? part))
    append.replaceChildren(w.append, " ", h("span", {class: "token"}, token.name))
    if (document.activeElement !== seed) seed.value = settings.seed
  }

  // --- together -----------------------------------------------------------------------------------------------------
  const ground = h("div", {class: "bench"},
    h("div", {class: "dials"}, dials.map((d) => d.root)), scroll,
    h("div", {class: "draw"}, h("div", {class: "top"}, h("h4", null, w.draw), h("span", {class: "spacer"}), h("label", {for: "seed"}, w.seed), seed, roll, append), strip, sentence))
  const empty = h("p", {class: "empty"}, w.empty)
  el.append(ground, empty)

  function draw() {
    ground.hidden = !row
    empty.hidden = Boolean(row)
    if (!row) return
    const counts = same(model.answer) ? model.answer.kept : null
    shown = pipeline(row, settings, counts)
    showDials()
    table.replaceChildren(h("caption", {class: "words"}, w.table), head(), body())
    say()
    showStrip()
    const {rank, low, high, uniform} = shown.draw
    Object.assign(ground.dataset, {kept: shown.stages.map((stage) => stage.kept).join(","), token: drawn().id, rank, low, high, uniform, entropy: shown.stages.map((x) => x.entropy).join(",")})
  }

  function load() {
    const logits = model.logits
    row = logits?.length ? ranked(logits) : null
    draw()
  }

  model.on("version", load)
  model.on("settings", () => {
    settings = {...model.settings}
    // the server may still be answering for an earlier place of the slider: what is under the hand stays there
    const {temperature, top_k, top_p, min_p, at} = wanted ?? {}
    if (wanted && !same(wanted) && Date.now() - at < 3000) Object.assign(settings, {temperature, top_k, top_p, min_p})
    else wanted = null
    draw()
  })
  model.on("answer", draw)
  load()
}
