import {released} from "../../toolkit/elements.js"
import {mathml} from "../../toolkit/mathml.js"
import {isDark} from "../../toolkit/theme.js"
import {onLook, paintStrip, say, tag} from "../../toolkit/vector_strips_paint.js"
import {toClipboard} from "./clipboard.js"

/** The "why this number" card: value, formula, operands, running sum of a product; up to two pinned cards beside it. */
export function render({model}) {
  const root = tag("section", "why")
  root.setAttribute("aria-label", model.words.title)
  const live = tag("p", "sr")
  live.setAttribute("aria-live", "polite")
  const grid = tag("div", "cards")
  root.append(live, grid)
  const slots = [0, 1, 2].map(() => ({card: tag("article", "card"), stop: null, open: false, fed: false}))
  const W = () => model.words
  const send = (data) => model.send_msg(data)

  function button(cls, text, label, act) {
    const b = tag("button", cls, text)
    b.type = "button"
    if (label) {
      b.setAttribute("aria-label", label)
      b.title = label
    }
    b.addEventListener("click", act)
    return b
  }

  async function copy(text, b) {
    await toClipboard(text, root)
    const was = b.textContent
    b.textContent = W().copied
    live.textContent = `${W().copied}: ${text}`
    setTimeout(() => {
      b.textContent = was
    }, 1200)
  }

  function tools(card, c) {
    const bar = tag("div", "tools")
    if (c === 0) {
      const back = button("tool", "‹", W().back, () => send({do: "back"}))
      const on = button("tool", "›", W().forward, () => send({do: "forward"}))
      back.disabled = !card.back
      on.disabled = !card.forward
      bar.append(back, on)
    }
    bar.append(tag("span", "kicker", c === 0 ? W().title : W().pinned))
    const end = tag("span", "end")
    const cp = button("tool text", W().copy, W().copy_long, () => copy(card.exact, cp))
    end.append(cp)
    if (c === 0) {
      const pin = button("tool text", W().pin, W().pin_long, () => send({do: "pin"}))
      pin.disabled = !card.can_pin
      end.append(
        pin,
        button("tool", "✕", W().close, () => send({do: "close"})),
      )
    } else end.append(button("tool text", W().unpin, W().unpin_long, () => send({do: "unpin", at: c - 1})))
    bar.append(end)
    return bar
  }

  function crumbs(card, c) {
    const nav = tag("nav", "crumbs")
    nav.setAttribute("aria-label", W().path)
    card.crumbs.forEach((crumb, i) => {
      if (i) nav.append(tag("span", "sep", "›"))
      const last = i === card.crumbs.length - 1
      if (last) {
        const here = tag("b", "", crumb.label)
        here.setAttribute("aria-current", "true")
        nav.append(here)
      } else nav.append(button("link", crumb.label, crumb.title, () => send({do: "crumb", card: c, steps: card.crumbs.length - 1 - i})))
    })
    return nav
  }

  function head(card) {
    const box = tag("div", "head")
    const where = tag("div", "where")
    where.append(tag("code", "", card.name))
    if (card.block) where.append(tag("span", "chip of-block", card.block))
    for (const [dim, at, text] of card.index) {
      const chip = tag("span", `chip ${dim}`)
      chip.append(tag("span", "", dim), tag("b", "", at))
      if (text) chip.append(tag("span", "token", text))
      where.append(chip)
    }
    const number = tag("div", "number")
    number.append(tag("strong", "", card.say))
    if (card.check) {
      const mark = tag("span", card.check.ok ? "check" : "check bad", `${card.check.ok ? "✓" : "✗"} ${card.check.label}`)
      mark.title = card.check.title
      number.append(mark)
    }
    box.append(where, number)
    return box
  }

  /** While an operand has the pointer or the focus, the pictures that show its cell make it stand out. */
  function points(b, {name, at}) {
    const say = (detail) => () => window.dispatchEvent(new CustomEvent("tx-point", {detail}))
    for (const kind of ["mouseenter", "focus"]) b.addEventListener(kind, say({name, at}))
    for (const kind of ["mouseleave", "blur"]) b.addEventListener(kind, say(null))
    return b
  }

  function termRow(term, c, most) {
    const row = tag("li", "term")
    const main = tag("span", "what")
    const pick = (j) => () => send({do: "ask", card: c, term: term.at, source: j})
    const source = (s, j, text) => points(button("link", text, `${W().why} ${s.title}: ${text}`, pick(j)), s)
    if (term.sources.length === 1) main.append(source(term.sources[0], 0, term.label))
    else main.append(tag("span", "plain", term.label))
    if (term.sources.length > 1) {
      const parts = tag("span", "factors")
      term.sources.forEach((s, j) => {
        if (j) parts.append(tag("span", "times", s.joint || "·"))
        parts.append(source(s, j, s.say))
      })
      main.append(parts)
    }
    const bar = tag("span", "bar")
    const fill = tag("i", term.value < 0 ? "neg" : "pos")
    const size = Math.min(1, Math.abs(term.value) / (most || 1)) * 50
    fill.style.width = `${size}%`
    fill.style[term.value < 0 ? "right" : "left"] = "50%"
    bar.append(fill)
    row.append(main, bar, tag("span", "num", term.say))
    return row
  }

  function operands(card, c) {
    if (!card.terms.length) return []
    const caption = tag("div", "cols")
    caption.append(tag("span", "", W().operand), tag("span", "num", W().value))
    const list = tag("ul", "terms")
    const most = Math.max(...card.terms.map((t) => Math.abs(t.value)), card.rest ? Math.abs(card.rest.value) : 0)
    card.terms.forEach((t) => list.append(termRow(t, c, most)))
    if (card.rest) {
      const row = termRow({label: card.rest.label, value: card.rest.value, say: card.rest.say, sources: [], at: -1}, c, most)
      row.classList.add("rest")
      row.querySelector(".what").append(button("link more", card.rest.more, null, () => send({do: "more", card: c})))
      list.append(row)
    }
    const sum = tag("div", "sum")
    for (const [label, value] of card.totals) {
      const line = tag("div", "total")
      line.append(tag("span", "", label), tag("b", "num", value))
      sum.append(line)
    }
    return [caption, list, sum]
  }

  function vectors(p) {
    const v = model.vectors
    const cut = (from) => Float32Array.from({length: p.length}, (_, i) => v[from + i])
    return [cut(p.row.start), cut(p.column.start)]
  }

  /** Row, column and the running sum of one cell of a matrix product. */
  function product(card, c, slot) {
    const p = card.product
    const [row, column] = vectors(p)
    const sums = new Float64Array(p.length + 1)
    sums[0] = p.bias ?? 0
    for (let i = 0; i < p.length; i++) sums[i + 1] = sums[i] + p.factor * row[i] * column[i]
    const box = tag("details", "product")
    box.open = slot.open
    box.addEventListener("toggle", () => {
      slot.open = box.open
      if (box.open) paint()
    })
    box.append(tag("summary", "", p.title))
    const body = tag("div", "steps")
    const strips = [
      [p.row, row],
      [p.column, column],
    ].map(([part, values], which) => {
      const line = tag("div", "line")
      const strip = tag("div", "strip")
      const canvas = tag("canvas")
      const cursor = tag("i", "cursor")
      strip.append(canvas, cursor)
      line.append(tag("span", "tag", part.label), strip)
      strip.addEventListener("click", (e) => {
        const r = strip.getBoundingClientRect()
        go(Math.floor(((e.clientX - r.left) / r.width) * p.length) + 1)
      })
      body.append(line)
      return {canvas, cursor, values, scale: part.scale, which}
    })
    const svgNS = "http://www.w3.org/2000/svg"
    const svg = document.createElementNS(svgNS, "svg")
    svg.setAttribute("viewBox", "0 0 300 70")
    svg.setAttribute("preserveAspectRatio", "none")
    svg.setAttribute("aria-hidden", "true")
    const lo = Math.min(0, ...sums),
      hi = Math.max(0, ...sums),
      span = hi - lo || 1
    const y = (v) => 66 - ((v - lo) / span) * 62
    const zero = document.createElementNS(svgNS, "path")
    zero.setAttribute("d", `M0 ${y(0)}H300`)
    zero.setAttribute("class", "zero")
    const faint = document.createElementNS(svgNS, "path")
    const solid = document.createElementNS(svgNS, "path")
    const path = (upto) => {
      const points = []
      const skip = Math.max(1, Math.floor(p.length / 600))
      for (let i = 0; i <= upto; i += skip) points.push(`${((i / p.length) * 300).toFixed(2)} ${y(sums[i]).toFixed(2)}`)
      points.push(`${((upto / p.length) * 300).toFixed(2)} ${y(sums[upto]).toFixed(2)}`)
      return `M${points.join("L")}`
    }
    faint.setAttribute("d", path(p.length))
    faint.setAttribute("class", "faint")
    solid.setAttribute("class", "solid")
    svg.append(zero, faint, solid)
    const plot = tag("div", "line")
    plot.append(tag("span", "tag", W().running), svg)
    const readout = tag("div", "readout")
    const controls = tag("div", "controls")
    const play = button("tool text", W().play, null, () => (timer ? stop() : start()))
    const slider = tag("input")
    Object.assign(slider, {type: "range", min: 0, max: p.length, step: 1})
    slider.setAttribute("aria-label", W().step_of)
    slider.addEventListener("input", () => {
      stop()
      go(Number(slider.value))
    })
    controls.append(
      button("tool", "↺", W().replay, () => {
        stop()
        go(0)
        start()
      }),
      button("tool", "‹", W().step_back, () => {
        stop()
        go(at - 1)
      }),
      play,
      button("tool", "›", W().step_on, () => {
        stop()
        go(at + 1)
      }),
      button("tool", "⇥", W().to_end, () => {
        stop()
        go(p.length)
      }),
      slider,
    )
    body.append(plot, readout, controls)
    box.append(body)
    let at = p.length,
      timer = 0

    function go(to) {
      at = Math.max(0, Math.min(p.length, to))
      slider.value = at
      solid.setAttribute("d", path(at))
      strips.forEach((s) => {
        s.cursor.style.left = `${((Math.max(1, at) - 0.5) / p.length) * 100}%`
      })
      readout.replaceChildren()
      if (at === 0) readout.append(tag("span", "", p.bias === null ? W().from_zero : `${W().from_bias} ${say(p.bias)}`))
      else {
        const i = at - 1
        readout.append(
          tag("span", "dim", `${W().step} ${at} / ${p.length}`),
          button("link", say(row[i]), `${W().why} ${p.row.label} ${i}`, () => send({do: "cell", card: c, part: "row", index: i})),
          tag("span", "times", "×"),
          button("link", say(column[i]), `${W().why} ${p.column.label} ${i}`, () => send({do: "cell", card: c, part: "column", index: i})),
          tag("span", "", `${p.factor === 1 ? "" : `× ${say(p.factor)} `}= ${say(p.factor * row[i] * column[i])}`),
          tag("b", "end", `Σ ${say(sums[at])}`),
        )
      }
    }

    function start() {
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) return go(p.length)
      if (at >= p.length) go(0)
      const begin = performance.now(),
        from = at,
        length = Math.min(6000, 1500 + p.length * 12)
      play.textContent = W().pause
      const frame = (now) => {
        const t = Math.min(1, (now - begin) / length)
        go(Math.round(from + (p.length - from) * t * t * (3 - 2 * t)))
        if (t < 1) timer = requestAnimationFrame(frame)
        else stop()
      }
      timer = requestAnimationFrame(frame)
    }

    function stop() {
      cancelAnimationFrame(timer)
      timer = 0
      play.textContent = W().play
    }

    function paint() {
      const dark = isDark(root)
      strips.forEach((s) => paintStrip(s.canvas, s.values, s.scale, dark))
    }

    slot.stop = stop
    slot.paint = paint
    go(p.length)
    requestAnimationFrame(paint)
    return box
  }

  function feeds(card, c, slot) {
    if (!card.feeds.length) return []
    const box = tag("details", "feeds")
    box.open = slot.fed
    box.addEventListener("toggle", () => {
      slot.fed = box.open
    })
    box.append(tag("summary", "", W().feeds))
    const list = tag("div", "chips")
    card.feeds.forEach((f, i) => list.append(button("link chip", f.label, f.title, () => send({do: "feed", card: c, at: i}))))
    box.append(list)
    return [box]
  }

  function fill(slot, card, c) {
    if (slot.stop) slot.stop()
    window.dispatchEvent(new CustomEvent("tx-point", {detail: null})) // what had the pointer is gone with the old card
    slot.stop = null
    slot.paint = null
    const parts = [tools(card, c), ...(card.crumbs.length > 1 ? [crumbs(card, c)] : []), head(card)]
    if (card.formula) {
      const math = tag("div", "math")
      math.tabIndex = 0 // long formulas scroll sideways
      math.setAttribute("role", "group")
      math.setAttribute("aria-label", W().formula)
      math.append(mathml(card.formula))
      parts.push(math)
    }
    if (card.text) parts.push(tag("p", "text", card.text))
    parts.push(...operands(card, c))
    if (card.product) parts.push(product(card, c, slot))
    parts.push(...feeds(card, c, slot))
    slot.card.replaceChildren(...parts)
  }

  function keep() {
    // which control of which card has the focus, so that a rebuilt card can give it back
    const active = root.getRootNode().activeElement
    const slot = slots.find((s) => active && s.card.contains(active))
    return slot ? {slot, name: active.getAttribute("aria-label") || active.textContent} : null
  }

  function build() {
    const focused = keep()
    const cards = model.cards
    grid.className = `cards n${cards.length}`
    if (!cards.length) {
      const empty = tag("div", "empty")
      empty.append(tag("h3", "", W().title), tag("p", "", W().empty))
      grid.replaceChildren(empty)
      return
    }
    cards.forEach((card, c) => fill(slots[c], card, c))
    grid.replaceChildren(...slots.slice(0, cards.length).map((s) => s.card))
    live.textContent = `${cards[0].name} = ${cards[0].say}`
    if (focused) {
      const again = [...focused.slot.card.querySelectorAll("button")].find(
        (b) => (b.getAttribute("aria-label") || b.textContent) === focused.name && !b.disabled,
      )
      if (again && grid.contains(again)) again.focus({preventScroll: true})
      else {
        slots[0].card.tabIndex = -1
        slots[0].card.focus({preventScroll: true})
      }
    }
  }

  root.addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !model.cards.length) return
    e.preventDefault() // and nothing else closes
    e.stopPropagation()
    send({do: "close"})
  })
  build()
  model.on("version", () => requestAnimationFrame(() => released(root, build))) // the other params of the same update are there by then
  const off = onLook(root, () => slots.forEach((s) => s.paint?.()))
  model.on("remove", () => {
    off()
    slots.forEach((s) => s.stop?.())
  })
  return root
}
