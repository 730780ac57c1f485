// A short introduction: five places of the picture, each with a few words and the numbers of the run on screen. "Start here" opens it where there are
// no lessons, as on a saved page.
import {h, s} from "../../toolkit/elements.js"
import {focused} from "../../toolkit/focus.js"
import {scrollSmoothly} from "../../toolkit/scroller.js"
import {fill, integer, percent, quoted} from "./core.js"
import {chosen} from "./lanes.js"
import {laneY} from "./layout.js"
import {bothSides, lastKey} from "./pattern.js"

const GAP = 10

// Each: title, words, and the point of the picture that its line leads to.
function places(app) {
  const {T, L, tokens, block, head, anatomy, next} = app
  const last = L.n - 1
  const q = chosen(app) >= 0 && chosen(app) < L.n ? chosen(app) : last
  const token = quoted(tokens.strings[q])
  const a = L.at
  const y = L.phone ? 0 : laneY(L, q)
  const list = [[T.guide_embed, {n: integer(tokens.total), d: integer(anatomy.width)}, a.embed?.m]]
  if (block.anatomy.mixer === "open") {
    const row = Array.from({length: lastKey(app, q) + 1}, (_, j) => head.pattern[q * L.n + j] || 0)
    const most = row.indexOf(Math.max(...row))
    const said = {b: block.layer + 1, h: head.head + 1, q: token, k: quoted(tokens.strings[most]), p: percent(row[most])}
    list.push([bothSides(app) ? T.guide_attention_both : T.guide_attention, said, a.mat?.m])
  } else if (block.anatomy.mixer) list.push([T.guide_closed, {b: block.layer + 1}, a.shut1?.m])
  const {experts, n_neurons: f, mlp} = block.anatomy
  if (mlp) list.push(experts ? [T.guide_experts, experts, a.mlp?.m] : [T.guide_mlp, {f: integer(f)}, a.mlp?.m])
  list.push([app.layers === 1 ? T.guide_block : T.guide_blocks, {n: app.layers, q: token}, a.blocks?.m])
  if (next) {
    const best = next.share.indexOf(Math.max(...next.share)) // with the settings in use, as the bars are
    const said = {heading: next.heading ?? T.next, v: integer(next.vocab), t: quoted(next.strings[best]), p: percent(next.share[best])}
    list.push([T.guide_next, said, (a.next.x + a.next.r) / 2, app.listRowY(best)])
  }
  return list.map(([text, said, x, at]) => {
    const [title, words] = fill(text, said).split("|")
    return {title, words, x, y: at ?? y}
  })
}

export class Guide {
  constructor(app) {
    this.app = app
    this.close = h("button", {class: "quiet", type: "button", "aria-label": app.T.close, onclick: () => this.show(false)}, "✕")
    this.lines = s("svg", {class: "lines", "aria-hidden": "true"})
    this.cards = h("ol")
    this.root = h(
      "section",
      {class: "guide", role: "dialog", "aria-label": app.T.guide, hidden: true, "data-alone": ""},
      this.lines,
      h("header", null, h("b", null, app.T.guide), h("span", null, app.T.guide_try), this.close),
      this.cards,
    )
  }

  get open() {
    return !this.root.hidden
  }

  show(on) {
    const {app} = this
    if (on && !app.block) return
    if (on) this.before = focused()
    this.root.hidden = !on
    if (on) {
      app.motion.skip()
      this.draw()
      const {stage} = app.dom
      scrollSmoothly(stage, (behavior) => stage.scrollIntoView({block: "nearest", behavior}))
      this.close.focus({preventScroll: true})
    } else if (this.before?.isConnected) this.before.focus({preventScroll: true})
  }

  draw() {
    if (!this.open) return
    const {app, root} = this
    const {L} = app
    const list = places(app)
    this.cards.replaceChildren(...list.map(({title, words}) => h("li", null, h("b", null, title), h("span", null, words))))
    root.style.top = L.phone ? "0" : `${L.bottom + Math.max(16, L.gap / 2)}px`
    root.style.minHeight = L.phone ? "" : `${L.H - L.bottom - Math.max(16, L.gap / 2)}px`
    this.lines.replaceChildren()
    if (L.phone) return
    const top = root.offsetTop
    const each = (app.W - GAP * (list.length - 1)) / list.length
    const above = Math.max(0, top - 40)
    Object.entries({width: app.W, height: top, style: `top:${-top}px`}).forEach(([name, value]) => {
      this.lines.setAttribute(name, value)
    })
    list.forEach(({x, y}, i) => {
      const from = i * (each + GAP) + each / 2
      const foot = top + 4
      this.lines.append(
        s("path", {d: `M${from} ${foot}C${from} ${Math.max(above, y + 14)} ${x} ${Math.min(foot, y + 44)} ${x} ${y + 13}`}),
        s("circle", {cx: x, cy: y, r: 12}),
        s("text", {x, y: y + 4.5}, String(i + 1)),
      )
    })
  }
}
