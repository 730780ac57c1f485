// All heads of all blocks as one picture: a column per block, a row per head (on a phone the other way round, so that cells stay large);
// one canvas, however many heads there are.
import {h} from "../../toolkit/elements.js"
import {percent} from "../../toolkit/numbers.js"
import {keyed, patch, set} from "../../toolkit/patch.js"
import {thumbImage} from "./blocks.js"
import {clamp, fill} from "./core.js"
import {hatch} from "./hatch.js"

const KINDS = ["previous", "first", "self", "induction", "broad", "mixed"]
const LETTER = {previous: "P", first: "1", self: "S", induction: "I", broad: "B", mixed: ""}

export class Grid {
  constructor(app) {
    this.app = app
    this.parts = new Map() // layer -> {thumbs, may, label, score, pooled}
    this.only = null
    this.at = null
    this.canvas = h("canvas", {tabindex: 0, role: "img"})
    this.title = h("b")
    this.note = h("span")
    this.chips = h("div", {class: "chips"})
    this.progress = h("progress", {max: 1})
    this.close = h("button", {class: "quiet", type: "button", onclick: () => app.toggleGrid(false)}, "✕")
    this.panel = h(
      "section",
      {class: "allheads", hidden: true},
      h("header", null, this.title, this.note, this.progress, this.close),
      this.chips,
      this.canvas,
    )
    this.bind()
  }

  bind() {
    const {canvas, app} = this
    canvas.addEventListener("pointermove", (e) => this.point(this.cellAt(e.offsetX, e.offsetY), e))
    canvas.addEventListener("pointerleave", () => {
      this.at = null
      this.draw()
      app.tip(null)
    })
    canvas.addEventListener("click", (e) => {
      const c = this.cellAt(e.offsetX, e.offsetY)
      if (c) app.focus({layer: c.l, head: c.h})
    })
    canvas.addEventListener("keydown", (e) => {
      let move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key]
      const c = this.at ?? {l: app.block.layer, h: app.head.head}
      if (e.key === "Enter") {
        e.preventDefault()
        app.focus({layer: c.l, head: c.h})
        return
      }
      if (!move) return
      e.preventDefault()
      if (this.turned) move = move.reverse()
      this.point({l: clamp(c.l + move[0], 0, app.layers - 1), h: clamp(c.h + move[1], 0, app.heads - 1)}, null)
      app.dom.live.textContent = this.words(this.at).join(". ")
    })
  }

  words(c) {
    const {T} = this.app
    const {anatomy} = this.app
    if (!anatomy.of_block[c.l]) return [fill(T.no_heads_in, {b: c.l + 1, name: anatomy.names[c.l]}), anatomy.names[c.l], ""]
    const part = this.parts.get(c.l)
    const kind = part?.label[c.h]
    return [
      fill(T.head_of, {i: c.h + 1, b: c.l + 1}),
      kind ? T.kinds[kind] : "…",
      kind ? fill(T[`why_${kind}`], {p: percent(part.score[c.h])}) : "",
    ]
  }

  point(c, e) {
    this.at = c
    this.draw()
    if (!c) {
      this.app.tip(null)
      return
    }
    const [name, value, more] = this.words(c)
    const box = this.canvas.getBoundingClientRect()
    const half = this.size / 2
    const [x, y] = this.spot(c.l, c.h)
    this.app.tip({value, name, more}, e ? {x: e.clientX, y: e.clientY} : {x: box.left + x + half, y: box.top + y + half})
  }

  spot(l, h) {
    const [column, row] = this.turned ? [h, l] : [l, h]
    return [this.left + column * this.size, this.top + row * this.size]
  }

  cellAt(x, y) {
    const column = Math.floor((x - this.left) / this.size)
    const row = Math.floor((y - this.top) / this.size)
    const [l, h] = this.turned ? [row, column] : [column, row]
    return l >= 0 && l < this.app.layers && h >= 0 && h < this.app.heads ? {l, h} : null
  }

  add(part) {
    this.parts.set(part.layer, part)
    this.draw()
  }

  reset() {
    this.parts.clear()
    this.only = null
  }

  header() {
    const {app} = this
    const first = this.parts.values().next().value
    patch(this.title, fill(app.T.all_heads, {n: app.anatomy.all_heads}))
    const sides = this.turned ? app.T.sides_turned : app.T.sides
    patch(this.note, fill(first && first.pooled > 1 ? app.T.pooled : app.T.not_pooled, {sides, p: first?.pooled}))
    const wanted = app.anatomy.of_block.filter(Boolean).length
    this.progress.hidden = this.parts.size >= wanted
    this.progress.value = this.parts.size / Math.max(1, wanted)
    set(this.progress, "aria-label", app.T.computing)
    set(this.close, "aria-label", app.T.close)
    set(this.canvas, "aria-label", app.T.grid_label)
    const counts = Object.fromEntries(KINDS.map((k) => [k, 0]))
    for (const part of this.parts.values()) for (const k of part.label) counts[k] += 1
    keyed(
      this.chips,
      KINDS.filter((k) => counts[k]).map((k) => ({
        key: k,
        update: (n) => {
          patch(n, `${LETTER[k] ? `${LETTER[k]}  ` : ""}${app.T.kinds[k]}  ${counts[k]}`)
          set(n, "aria-pressed", this.only === k)
          n.title = fill(app.T[`why_${k}`], {p: "…"})
        },
      })),
      ({key}) =>
        h("button", {
          class: "chip",
          type: "button",
          onclick: () => {
            this.only = this.only === key ? null : key
            this.draw()
          },
        }),
    )
  }

  draw() {
    if (this.panel.hidden) return
    const {app, canvas} = this
    const {layers, heads, theme, dpr} = app
    this.turned = app.L.phone && layers >= heads
    this.header()
    const [columns, rows] = this.turned ? [heads, layers] : [layers, heads]
    this.left = 26
    this.top = 16
    const width = this.panel.clientWidth - 34
    const s = Math.floor(clamp((width - this.left) / columns, app.L.phone ? 9 : 12, 46))
    this.size = s
    const w = this.left + columns * s + 2
    const h = this.top + rows * s + 2
    if (canvas.width !== Math.round(w * dpr) || canvas.height !== Math.round(h * dpr)) {
      canvas.width = Math.round(w * dpr)
      canvas.height = Math.round(h * dpr)
      canvas.style.width = `${w}px`
      canvas.style.height = `${h}px`
    }
    const ctx = canvas.getContext("2d")
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0)
    ctx.clearRect(0, 0, w, h)
    ctx.font = `500 10px ${app.font}`
    ctx.fillStyle = theme.of("muted")
    ctx.textBaseline = "middle"
    ctx.textAlign = "center"
    const every = s >= 18 ? 1 : 2
    for (let i = 0; i < columns; i += every) ctx.fillText(String(i + 1), this.left + (i + 0.5) * s, 7)
    ctx.textAlign = "right"
    for (let i = 0; i < rows; i += s >= 12 ? 1 : 2) ctx.fillText(String(i + 1), this.left - 6, this.top + (i + 0.5) * s)
    for (let l = 0; l < layers; l++) for (let i = 0; i < heads; i++) this.cell(ctx, l, i, s)
  }

  cell(ctx, l, i, s) {
    const {app} = this
    const {theme} = app
    const [x, y] = this.spot(l, i)
    const part = this.parts.get(l)
    ctx.fillStyle = theme.of("sunken")
    ctx.fillRect(x + 1, y + 1, s - 2, s - 2)
    if (!app.anatomy.of_block[l]) {
      hatch({ctx, theme}, x + 1, y + 1, s - 2, s - 2, 0, 0.35, 6)
      if (this.at && this.at.l === l && this.at.h === i) {
        ctx.strokeStyle = theme.of("focus")
        ctx.strokeRect(x + 0.5, y + 0.5, s - 1, s - 1)
      }
      return
    }
    if (!part || i >= part.label.length) return
    ctx.globalAlpha = this.only && part.label[i] !== this.only ? 0.15 : 1
    ctx.imageSmoothingEnabled = false
    ctx.drawImage(thumbImage(app, part.thumbs, part.may, i), x + 1, y + 1, s - 2, s - 2)
    const letter = LETTER[part.label[i]]
    if (s >= 26 && letter) {
      ctx.fillStyle = theme.of("muted")
      ctx.font = `650 10px ${app.font}`
      ctx.textAlign = "right"
      ctx.fillText(letter, x + s - 4, y + 9)
    }
    ctx.globalAlpha = 1
    const mine = l === app.block.layer && i === app.head.head
    const near = this.at && this.at.l === l && this.at.h === i
    if (!mine && !near) return
    ctx.strokeStyle = theme.of("focus")
    ctx.lineWidth = mine ? 2 : 1.2
    ctx.strokeRect(x + 0.5, y + 0.5, s - 1, s - 1)
  }
}
