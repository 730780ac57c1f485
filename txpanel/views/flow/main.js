// The flow: holds what was sent, decides what moves, draws. Everything drawn comes from the arrays that Python sent.
import {h} from "../../toolkit/elements.js"
import {keepClear} from "../../toolkit/keep_clear.js"
import {hear, say} from "../../toolkit/page_events.js"
import {patch, set} from "../../toolkit/patch.js"
import {isSaved} from "../../toolkit/saved_page.js"
import {onTheme, reducedMotion} from "../../toolkit/theme.js"
import {actions} from "./actions.js"
import {paintAttention} from "./attention.js"
import {paintBlocks, paintCuts, paintFan, paintFrame, paintHeads} from "./blocks.js"
import {paintClosed, paintClosedStrips} from "./closed.js"
import {clamp, ellipsis, fill, percent, shown} from "./core.js"
import {build} from "./dom.js"
import {asSvg} from "./export.js"
import {Grid} from "./grid.js"
import {Guide} from "./guide.js"
import {partAt, words} from "./hover.js"
import {bindKeys} from "./keys.js"
import {paintEmbedding, paintLanes, paintNodes} from "./lanes.js"
import {between, colX, laneY} from "./layout.js"
import {legend} from "./legend.js"
import {paintLight} from "./light.js"
import {LiveNextTokens} from "./live_next_tokens.js"
import {measureLayout} from "./measured_layout.js"
import {paintMLP, paintParallel} from "./mlp.js"
import {frontX, Motion} from "./motion.js"
import {sameBars} from "./next_list.js"
import {forLessons, speaks, stepped} from "./offered.js"
import {syncOverlay} from "./overlay.js"
import {paintAttentionWords} from "./pattern.js"
import {paintPhone} from "./phone.js"
import {phoneAt} from "./phone_layout.js"
import {watchSight} from "./sight.js"
import {Theme} from "./theme.js"
import {paintMap} from "./window.js"

class Flow {
  constructor(model, view, root) {
    this.model = model
    this.view = view
    this.root = root
    this.T = model.texts
    this.dom = build(this.T, () => this)
    root.append(this.dom.empty, this.dom.inexact, this.dom.stage, this.dom.live, this.dom.tip)
    this.canvas = this.dom.canvas
    this.ctx = this.canvas.getContext("2d")
    this.font = "Roboto, 'Helvetica Neue', Arial, sans-serif"
    this.theme = new Theme(root)
    this.motion = new Motion(this.draw.bind(this), speaks(root), () => !this.away)
    this.grid = new Grid(this)
    this.guide = new Guide(this)
    this.dom.stage.append(this.guide.root)
    root.append(this.grid.panel, this.dom.legend, this.dom.signs)
    this.was = {}
    this.want = {}
    this.hit = {}
    this.hover = null
    this.sel = {query: 0, key: 0}
    this.opened = ""
    this.openable = {}
    this.lit = []
    this.pointed = null
    this.gridOpen = false
    this.bind()
    this.take()
  }

  bind() {
    const {model, dom, canvas} = this
    for (const name of ["tokens", "block", "head", "next", "odds", "small", "writes", "query", "key", "lit", "opened", "openable", "busy"])
      model.on(name, () => this.later())
    model.on("grid_part", () => {
      if (model.grid_part.thumbs) this.grid.add(model.grid_part)
    })
    canvas.addEventListener("pointermove", (e) => this.setHover(partAt(this, e.offsetX, e.offsetY), e))
    canvas.addEventListener("pointerleave", () => this.setHover(null))
    canvas.addEventListener("click", (e) => {
      const hit = this.block && partAt(this, e.offsetX, e.offsetY)
      if (hit) this.act(hit, e.offsetY)
    })
    for (const spot of [dom.grid, dom.chart]) spot.addEventListener("focus", () => canvas.scrollIntoView({block: "nearest"}))
    dom.pager.children[0].onclick = () => this.focus({layer: (this.want.layer ?? this.block.layer) - 1})
    dom.pager.children[2].onclick = () => this.focus({layer: (this.want.layer ?? this.block.layer) + 1})
    dom.range.oninput = () => this.send({type: "window", start: Number(dom.range.value)})
    dom.allHeads.onclick = () => this.showGrid()
    const [play, step, end] = dom.play.children
    play.onclick = () => this.motion.toggle()
    step.onclick = () => stepped(this)
    end.onclick = () => this.motion.skip()
    bindKeys(this)
    this.resizer = new ResizeObserver(() => this.relayout())
    this.resizer.observe(this.root)
    this.unwatch = onTheme(this.root, () => {
      this.theme.read()
      this.motion.request()
      this.grid.draw()
    })
    this.theme.read()
    this.liveNext = new LiveNextTokens(this)
    this.fonts = () => this.relayout() // words have another width in the page's own letters
    document.fonts?.addEventListener("loadingdone", this.fonts)
    this.point = (event) => {
      this.pointed = event.detail
      this.motion.request()
    } // an operand of the card is under the pointer
    window.addEventListener("tx-point", this.point)
    if (isSaved())
      addEventListener("tx-opened", (event) => {
        this.opened = event.detail
        syncOverlay(this)
      })
    this.unwatchSight = watchSight(this)
    // The sampling settings, which the top bar puts under the bars that they change: if they get higher, all below moves down.
    this.handles = new ResizeObserver(() => {
      const tall = dom.handles.offsetHeight
      if (tall === this.handlesH) return
      this.handlesH = tall
      this.relayout()
    })
    this.handles.observe(dom.handles)
    this.asked = [hear("guide", this.view, () => this.guide.show(true)), hear("asleep", this.view, () => this.later()), ...forLessons(this)]
    this.covered = keepClear(() => [[...dom.next.children, dom.handles], [dom.legend]])
  }

  // Several parts of one change arrive one after the other: they are taken together in the next frame.
  later() {
    if (this.waiting) return
    this.waiting = requestAnimationFrame((now) => {
      this.waiting = 0
      this.take()
      this.motion.flush(now)
    })
  }

  take() {
    const m = this.model
    const {tokens, block, head} = m
    const whole =
      tokens?.ids &&
      block?.norms &&
      (head?.pattern || (head && block.anatomy.mixer !== "open")) &&
      tokens.stamp === block.stamp &&
      tokens.stamp === head.stamp &&
      block.layer === head.layer
    if (!tokens?.ids) {
      this.block = this.tokens = this.head = this.next = undefined
      this.toggleGrid(false)
    }
    this.dom.empty.hidden = Boolean(whole || this.block)
    this.dom.stage.hidden = this.dom.legend.hidden = !this.L || !(whole || this.block)
    this.dom.inexact.hidden = tokens?.exact !== false
    patch(this.dom.empty, m.busy || this.T.empty)
    set(this.root, "aria-busy", Boolean(m.busy))
    if (!whole) {
      if (this.block && this.L) syncOverlay(this) // the pager says that a block is on its way
      return
    }
    this.was = {tokens: this.tokens, block: this.block, head: this.head, next: this.next}
    Object.assign(this, {tokens, block, head})
    if (m.next?.ids) this.next = this.liveNext.heard()
    this.small =
      m.small?.stamp === tokens.trace_stamp && m.small.layer === block.layer
        ? m.small
        : this.small?.layer === block.layer && this.small.stamp === tokens.trace_stamp
          ? this.small
          : null
    this.anatomy = m.anatomy
    if (!block.anatomy.n_heads && this.hover?.part === "cell") this.setHover(null)
    this.layers = m.anatomy.layers
    this.heads = m.anatomy.heads
    const none = () => new Float32Array(this.layers).fill(NaN)
    const fit = m.writes?.query === m.query && m.writes.stamp === tokens.trace_stamp
    this.writes = fit ? m.writes : {attn: none(), mlp: none()}
    this.sel = {query: m.query, key: m.key}
    this.want = {}
    this.opened = m.opened
    this.openable = m.openable
    this.lit = m.lit
    this.animate()
  }

  // What moves: a new text runs once, an appended token runs alone, another head or block eases.
  animate() {
    const {was, tokens, block, head, next} = this
    const fresh = was.tokens !== tokens
    const old = was.tokens
    const grew =
      fresh &&
      old &&
      old.start === tokens.start &&
      tokens.total === old.total + 1 &&
      tokens.total === tokens.ids.length &&
      old.ids.every((id, i) => id === tokens.ids[i])
    const moved = fresh && old && old.trace_stamp === tokens.trace_stamp
    const changed = was.block !== block || was.head !== head || !sameBars(was.next, next)
    this.oldLayout = this.L
    this.relayout(false)
    if (fresh && !moved) {
      if (!grew) {
        this.was = {}
        this.oldLayout = null
      }
      this.grid.reset()
      if (this.gridOpen) this.send({type: "grid"})
      legend(this)
      if (this.model.isFirst) this.motion.skip()
      else this.motion.play(grew ? tokens.ids.length - 1 : 0)
      if (grew) this.fly()
    } else if (changed && old) {
      this.motion.ease()
      if (was.block?.layer !== block.layer) legend(this)
    }
    if (grew) this.motion.ease()
    this.motion.request()
    this.grid.draw()
  }

  // The token that was drawn moves from the list to its new lane.
  fly() {
    const label = this.dom.tokens.querySelector(`[data-token="${this.tokens.total - 1}"]`)
    const from = [...this.dom.next.children].find((n) => n.classList.contains("sampled")) ?? this.dom.next.children[0]
    if (!label || !from || reducedMotion() || this.L.phone) return
    const a = from.getBoundingClientRect()
    const b = label.getBoundingClientRect()
    label.animate([{translate: `${a.left - b.left}px ${a.top - b.top}px`, color: this.theme.of("focus")}, {translate: "0 0"}], {
      duration: 700,
      easing: "cubic-bezier(.3,.7,.2,1)",
    })
  }

  relayout(redraw = true) {
    if (!this.block) return
    this.dpr = Math.max(1, window.devicePixelRatio || 1)
    this.W = this.root.clientWidth
    if (!this.W) return
    measureLayout(this)
    this.dom.stage.style.height = `${this.L.H}px`
    syncOverlay(this)
    this.guide.draw()
    this.dom.stage.hidden = this.dom.legend.hidden = false // not before everything has its place
    patch(this.dom.allHeads, fill(this.T.all_heads_button, {n: this.anatomy.all_heads}))
    this.dom.allHeads.hidden = !this.anatomy.all_heads
    const wide = Math.round(this.W * this.dpr)
    const high = Math.round(this.L.H * this.dpr)
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide
      this.canvas.height = high
      this.canvas.style.width = `${this.W}px`
      this.canvas.style.height = `${this.L.H}px`
      this.oldLayout = null
      if (redraw) this.draw()
    } else if (redraw) this.motion.request()
    if (redraw) this.grid.draw()
  }

  draw() {
    if (!this.block || !this.L) return
    const final = this.L
    this.L = between(this.oldLayout, final, this.motion.mix)
    const {ctx, dpr} = this
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0)
    ctx.clearRect(0, 0, this.W, this.L.H)
    this.hit = {}
    if (this.L.phone) paintPhone(this, paintHeads, paintBlocks)
    else {
      this.front = frontX(this.L, this.motion.run)
      for (const paint of [
        paintFrame,
        paintClosed,
        paintLanes,
        paintCuts,
        paintEmbedding,
        paintParallel,
        paintAttention,
        paintAttentionWords,
        paintMLP,
        paintClosedStrips,
        paintNodes,
        paintMap,
        paintHeads,
        paintBlocks,
        paintFan,
      ])
        paint(this)
    }
    if (!this.motion.moving) paintLight(this)
    this.L = final
    const {moving} = this.motion
    set(this.root, "data-moving", moving)
    set(this.root, "data-running", this.motion.run < 0.9 && this.motion.from === 0)
    set(this.root, "data-shows", `${this.block.layer}/${this.head.head}/${this.sel.query}`)
    this.playing()
  }

  // During ▶ Play the next token is hidden, here and after the prompt, until the picture has come to it.
  playing() {
    const {motion, T, root, dom} = this
    const runs = motion.asked || (motion.runStart !== null && motion.run < 1)
    const [play, step, end] = dom.play.children
    patch(play, motion.asked ? (motion.held ? T.play_on : T.play_hold) : T.play)
    play.hidden = runs && !motion.asked
    step.hidden = !motion.asked
    end.hidden = !runs
    set(root, "data-playing", motion.asked)
    const hidden = motion.asked && motion.run < 1
    if (hidden !== (root.dataset.answer === "hidden")) {
      set(root, "data-answer", hidden ? "hidden" : "")
      say(root, "play", hidden)
    }
  }

  // --- what parts ask of the flow -----------------------------------------------------------------------------------
  tokenText(position) {
    const i = position - this.tokens.start
    return i >= 0 && i < this.tokens.strings.length ? this.tokens.strings[i] : `#${position}`
  }

  short(lane, width) {
    return ellipsis(this.ctx, shown(this.tokens.strings[lane]), width)
  }

  listRowY(k) {
    return this.L.listY + (k + 0.5) * this.L.rowH
  }

  mlpWords() {
    const {anatomy} = this.block
    if (anatomy.experts) return fill(this.T.cap_experts, anatomy.experts)
    return fill(anatomy.gated ? this.T.cap_gated : this.T.cap_plain, {act: anatomy.act_brief})
  }

  sinkNote() {
    const h = this.head.head
    if (this.small?.label?.[h] !== "first") return ""
    return fill(this.T.sink, {p: percent(this.small.score[h])})
  }

  phoneAt(x, y) {
    return phoneAt(this, x, y)
  }

  setHover(hit, event) {
    if (!this.block) return
    const same = JSON.stringify(hit, (k, v) => (k === "strip" ? v.name : v)) === this.hoverKey
    this.hoverKey = JSON.stringify(hit, (k, v) => (k === "strip" ? v.name : v))
    this.hover = hit
    this.canvas.style.cursor = hit ? "pointer" : "default"
    const box = this.canvas.getBoundingClientRect()
    const at =
      event ??
      (hit?.part === "cell" && !this.L.phone
        ? {clientX: box.left + colX(this.L, hit.key), clientY: box.top + laneY(this.L, hit.query)}
        : null)
    this.tip(hit && words(this, hit), at && {x: at.clientX, y: at.clientY})
    if (!same) this.motion.request()
  }

  tip(w, at) {
    const {tip} = this.dom
    tip.hidden = !w || !at
    if (tip.hidden) return
    patch(tip.children[0], w.value)
    patch(tip.children[1], w.more ?? "")
    patch(tip.children[2], w.name)
    const box = this.root.getBoundingClientRect()
    const x = clamp(at.x - box.left + 14, 4, Math.max(4, box.width - tip.offsetWidth - 6))
    const y = at.y - box.top + 18
    const above = at.y + 24 + tip.offsetHeight > window.innerHeight
    tip.style.transform = `translate(${x}px,${above ? y - tip.offsetHeight - 34 : y}px)`
  }

  close() {
    window.removeEventListener("tx-point", this.point)
    document.fonts?.removeEventListener("loadingdone", this.fonts)
    this.covered()
    this.unwatchSight()
    for (const stop of this.asked) stop()
    this.handles.disconnect()
    this.motion.stop()
    this.liveNext.stop()
    this.resizer.disconnect()
    this.unwatch()
  }
}

Object.assign(Flow.prototype, actions)

export function render({model, view, el}) {
  const root = h("div", {class: "flow"})
  el.append(root)
  const flow = new Flow(model, view, root)
  root.flow = flow // for tests and the curious
  root.asSvg = () => asSvg(flow) // for the tools below: PNG and SVG
  model.on("remove", () => flow.close())
  return root
}
