// The words and buttons over the canvas: real elements, so that they can be read aloud, reached by key and selected.
import {h} from "../../toolkit/elements.js"
import {keyed, patch, set} from "../../toolkit/patch.js"
import {boxOf, closedParts} from "./closed.js"
import {fill, integer, number, percent, quoted, shown} from "./core.js"
import {chosen} from "./lanes.js"
import {handlesIn, laneY, thumbAt} from "./layout.js"
import {besideLegend} from "./legend.js"
import {bothSides} from "./pattern.js"
import {phoneClosed, phoneOverlay} from "./phone_layout.js"
import {freshWidths, widthOf} from "./text_width.js"
import {whyDrawn} from "./why_drawn.js"

const put = (n, x, y, w, tall) => {
  n.style.transform = `translate(${x.toFixed(1)}px,${y.toFixed(1)}px)`
  if (w !== undefined) n.style.width = `${w.toFixed(1)}px`
  if (tall !== undefined) n.style.height = `${tall.toFixed(1)}px`
}

// Makes a button open the view that shows a tensor; where no view does it is words only.
function offer(app, n, tensor) {
  const view = app.openable[tensor]
  n.dataset.opens = tensor
  set(n, "aria-disabled", !view)
  if (view) set(n, "aria-expanded", app.opened === view)
  else n.removeAttribute("aria-expanded")
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1)

function headings(app) {
  const {L, T, block, anatomy} = app
  const a = L.at
  const mlp = block.anatomy.experts
    ? fill(T.mlp_experts, {n: block.anatomy.experts.n, k: block.anatomy.experts.k})
    : fill(block.anatomy.gated ? T.mlp_gated : T.mlp_plain, {
        d: integer(anatomy.width),
        f: integer(block.anatomy.n_neurons),
        act: block.anatomy.act,
      })
  const to = quoted(app.tokenText(app.sel.query))
  const span = (x0, x1) => [(x0 + x1) / 2, x1 - x0]
  const where = L.phone
    ? {}
    : {
        embedding: span(
          Math.max(0, Math.min(a.label.x, a.embed.r - 170)),
          Math.max(a.embed.r + (L.compact ? 34 : 12), L.compact ? 168 : 142),
        ),
        attention: a.shut1 ? span(a.min.x - 10, a.aout.r + 10) : span(a.qkv.x, a.wo.r),
        mlp: span(Math.min(a.n2.x, (a.lin ?? a.mlp).x) - 12, a.plus2.r + (L.compact ? 20 : 12)),
        blocks: span(a.blocks.x - 22, a.blocks.r + 22),
        next: span(a.fan.x - 5, a.next.r),
      }
  const list = [
    ["embedding", "embed", T.embedding, fill(app.tokens.pos_embed ? T.embedding_pos : T.embedding_sub, {d: integer(anatomy.width)})],
    ...(block.closed.block ? [["attention", "resid_post", T.whole, T.whole_sub]] : []),
    ...(block.anatomy.mixer === "open" ? [["attention", "pattern", T.attention, bothSides(app) ? T.attention_both : T.attention_sub]] : []),
    ...(block.anatomy.mixer === "opaque" ? [["attention", "pattern", sentence(block.closed.mixer.title), T.closed_sub]] : []),
    ...(block.anatomy.mlp ? [["mlp", "mlp_post", T.mlp, block.anatomy.mlp === "open" ? mlp : T.closed_sub]] : []),
    ["blocks", "resid_post", fill(app.layers === 1 ? T.one_block : T.all_blocks, {n: app.layers}), fill(T.blocks_sub, {token: to})],
    ["next", "logits", app.next?.heading ?? T.next, fill(T.next_sub, {v: integer(app.next?.vocab ?? anatomy.vocab)})],
  ]
  keyed(
    app.dom.heads,
    list.map(([id, tensor, title, sub]) => ({
      key: id,
      update(n) {
        if (where[id]) put(n, where[id][0] - where[id][1] / 2, 0, where[id][1])
        n.hidden = false
        patch(n.children[0], title)
        patch(n.children[1], sub)
        n.title = sub
        offer(app, n, tensor)
      },
    })),
    ({key}) =>
      h(
        "button",
        {class: "heading", type: "button", "data-part": key, onclick: (e) => app.open(e.currentTarget.dataset.opens)},
        h("b"),
        h("span"),
      ),
  )
}

function pager(app) {
  const {L, T, dom} = app
  put(dom.pager, L.phone ? 20 : L.box.x + 20, L.top - 15)
  const block = app.want.layer ?? app.block.layer
  patch(dom.pager.children[1], fill(app.model.busy ? T.block_busy : T.block_of, {i: block + 1, n: app.layers}))
  dom.pager.children[0].disabled = block === 0
  dom.pager.children[2].disabled = block === app.layers - 1
}

// Text made smaller until it fits a width, but not too small to read.
function fit(app, n, text, size, room) {
  const wide = widthOf(app, text, `${size}px`) * 1.04
  n.style.fontSize = wide <= room ? "" : `${Math.max(10.5, (size * room) / wide).toFixed(1)}px`
}

function tokens(app) {
  const {L, tokens: t, T} = app
  const on = chosen(app)
  const facts = (i) => ({id: integer(t.ids[i]), pos: t.start + i + 1})
  // Nothing is cut: on a phone there are two lines; elsewhere, if the longest does not fit, positions stand in the tooltips only.
  const roomy = L.phone || t.ids.every((_id, i) => widthOf(app, fill(T.id_pos, facts(i)), "10.5px") <= L.at.label.w + 14)
  const under = (i) => (L.phone ? fill(T.id_pos, facts(i)).replace(" · ", "\n") : fill(roomy ? T.id_pos : T.id, facts(i)))
  const items = t.strings.map((text, i) => ({
    key: t.start + i,
    text,
    update(n) {
      if (!L.phone) put(n, L.at.label.x, laneY(L, i) - 11, L.at.label.w)
      n.hidden = false
      patch(n.children[0], shown(text))
      n.classList.toggle("tight", Boolean(L.dense))
      fit(app, n.children[0], shown(text), L.phone ? 14 : app.k * (L.dense ? 12 : 14), L.phone ? L.each - 4 : L.at.label.w)
      patch(n.children[1], L.gap >= 34 ? under(i) : "")
      n.title = `${JSON.stringify(text)} · ${fill(T.id_pos, facts(i))}`
      n.classList.toggle("on", i === on)
      set(n, "aria-pressed", i === on)
      n.tabIndex = i === on || ((on < 0 || on >= L.n) && i === L.n - 1) ? 0 : -1
    },
  }))
  keyed(app.dom.tokens, items, ({key}) =>
    h("button", {class: "token", type: "button", "data-token": key, onclick: () => app.focus({query: key})}, h("b"), h("small")),
  )
}

function headButtons(app) {
  const {L, block, T, small} = app
  const {n_heads: heads} = block.anatomy
  const on = app.want.head ?? app.head.head
  keyed(
    app.dom.headRow,
    Array.from({length: heads}, (_, i) => ({
      key: i,
      update(n) {
        const t = thumbAt(L, block, i)
        put(n, t.x - 2, t.y - 2, t.s + 4, t.s + 18)
        const kind = small?.label[i] ? T.kinds[small.label[i]] : ""
        set(n, "aria-label", fill(T.head_label, {i: i + 1, kind: kind ?? ""}))
        set(n, "aria-pressed", i === on)
        const why = kind ? fill(T[`why_${small.label[i]}`], {p: percent(small.score[i])}) : ""
        n.title = [why, `${T.who_looks} · ${T.at_whom}`].filter(Boolean).join("\n")
        n.classList.toggle("on", i === on)
        n.tabIndex = i === on ? 0 : -1
        patch(n.firstChild, String(i + 1))
      },
    })),
    ({key}) => h("button", {class: "head", type: "button", "data-head": key, onclick: () => app.focus({head: key})}, h("span")),
  )
  const shared = block.anatomy.n_kv_heads
  app.dom.headTitle.hidden = !heads
  const x = L.phone ? 20 : L.box.x + 20
  put(app.dom.headTitle, x, L.headsY - 24, (L.phone ? L.W : L.box.r) - x - 20)
  patch(
    app.dom.headTitle.children[1],
    shared === heads ? T.heads_own : shared === 1 ? T.heads_one : fill(T.heads_shared, {n: heads / shared}),
  )
  patch(app.dom.headTitle.children[2], app.sinkNote())
  const last = thumbAt(L, block, Math.max(0, Math.min(heads, L.perRow) - 1))
  if (!heads && !L.phone) put(app.dom.allHeads, L.box.r - 128, L.headsY - 24)
  else if (L.phone) put(app.dom.allHeads, 20, L.y.frameEnd - 38)
  else put(app.dom.allHeads, Math.min(last.x + last.s + 16, L.box.r - 128), L.headsY + L.thumb / 2 - 14)
}

const WIDEST = 150 // and at most between a phone and a desk: more would part the names from the heading above them
const NAME = 60 // pixels that a token's name has at least, where the bars can give them

// The columns of the list: names, bars, percents. Returns how wide the names' is.
function nameColumn({L, dom}, width, longest) {
  const percents = longest > 7 ? Math.ceil(6.6 * longest) : L.phone ? 48 : L.compact ? 42 : 44
  const left = width - percents - 12 // two gaps
  const most = L.phone ? Math.max(width * 0.5, left - WIDEST) : width * (L.compact ? 0.27 : 0.34)
  const bars = Math.max(24, Math.min(most, left - NAME))
  dom.next.style.setProperty("--tx-bars", `${bars.toFixed(1)}px`)
  dom.next.style.setProperty("--tx-percents", `${percents}px`)
  return left - bars
}

// The name of the last row. A number that is cut would be another number, so with little room there are fewer words.
function restName(app, n, room) {
  const {T} = app
  const names = [fill(T.others, {n}), fill(T.others_short, {n}), `+${n}`]
  return names.find((text) => widthOf(app, text, "11.5px") <= room - 1) ?? T.others_all
}

// The list of next tokens: bars with the settings in use, the model's own behind them as ghosts. They are elements, so their change is eased by CSS.
export function nextList(app) {
  const {L, T, next, dom} = app
  const a = L.at
  dom.nextKey.hidden = !next
  if (!next) return
  const {settled} = app.liveNext
  whyDrawn(app)
  put(dom.handles, a.next.x + handlesIn(L), app.listRowY(next.strings.length + 0.5) + 10, a.next.w - handlesIn(L))
  const x = a.next.x + 4
  const w = a.next.r - x
  const rows = next.strings.map((text, k) => ({key: k, text, p: next.probability[k], share: next.share[k], id: next.ids[k]}))
  const most = Math.max(1e-9, ...rows.map((r) => Math.max(r.p, r.share)))
  const others = settled ? next.rest_left : next.others
  rows.push({key: "rest", p: next.rest, share: next.rest_share})
  const percents = rows.map((r) => (r.share > 0 ? percent(r.share) : T.cut))
  const names = nameColumn(app, w, Math.max(...percents.map((text) => text.length)))
  const rest = others ? restName(app, integer(others), names) : T.others_all
  const wide = (p) => `${p > 0 ? Math.max(1.5, 100 * Math.min(1, p / most)) : 0}%`
  const say = (r) => {
    const both = settled ? `${T.with_settings}: ${r.share > 0 ? percent(r.share) : T.cut_off}` : ""
    const drawn =
      r.id !== undefined && next.sampled === r.key ? fill(T.drawn, {seed: next.settings.seed, u: number(next.settings.uniform)}) : ""
    const name =
      r.id === undefined ? fill(T.others, {n: integer(next.others)}) : `${JSON.stringify(r.text)} · ${fill(T.id, {id: integer(r.id)})}`
    return [name, `${T.the_model}: ${percent(r.p)}`, both, drawn].filter(Boolean).join(" · ")
  }
  keyed(
    dom.next,
    rows.map((r, k) => ({
      key: r.key,
      update(n) {
        put(n, x, app.listRowY(k) - L.rowH / 2, w, L.rowH)
        patch(n.children[0], r.key === "rest" ? rest : shown(r.text))
        const [ghost, bar] = n.children[1].children
        ghost.style.width = wide(r.p)
        ghost.hidden = !settled
        bar.style.width = wide(r.share)
        patch(n.children[2], percents[k])
        n.classList.toggle("sampled", next.sampled === k)
        n.classList.toggle("gone", !(r.share > 0))
        n.title = say(r)
        n.dataset.model = r.p
        n.dataset.share = r.share
        n.tabIndex = k === 0 ? 0 : -1
      },
    })),
    ({key}) =>
      h(
        "button",
        {class: key === "rest" ? "next rest" : "next", type: "button", "data-row": key, onclick: () => app.openNext(key)},
        h("b"),
        h("i", null, h("s"), h("u")),
        h("em"),
      ),
  )
  const from = L.phone ? 0 : a.fan.x - 8
  put(dom.nextKey, L.phone ? 12 : from, L.phone ? L.listY - 19 : 3 + 38.5 * app.k, (L.phone ? L.W - 24 : a.next.r) - from)
  patch(dom.nextKey.children[0].children[1], settled ? T.with_settings : T.the_model)
  dom.nextKey.children[1].hidden = !settled
  patch(dom.nextKey.children[1].children[1], T.the_model)
}

const BETWEEN = 5 // pixels between two names

// The small names under the lanes are the parts' buttons: what the canvas shows, the keyboard opens.
function captions(app) {
  const {L, T, block} = app
  const a = L.at
  const norm = block.anatomy.norm_kind
  const post = Boolean(a.n1b)
  const times = block.anatomy.residual_multiplier
  const add = times === 1 ? T.add : fill(T.add_times, {m: times})
  const list = []
  const shut = Object.fromEntries(closedParts(app).map((each) => [each.part, each]))
  const around = (each) => [
    [`in-${each.part}`, T.reads, each.before.m, each.reads],
    [`out-${each.part}`, T.writes, each.behind.m, each.writes],
  ]
  if (a.n1.w > 1) list.push(["ln1", norm, a.n1.m, "ln1"])
  if (block.anatomy.mixer === "open")
    list.push(["qkv", T.qkv, a.qkv.m, "q"], ["z", T.shares_z, (a.share.x + a.z.r) / 2, "z"], ["wo", T.w_o, a.wo.m, "attn_out"])
  for (const part of ["block", "mixer"]) if (shut[part]) list.push(...around(shut[part]))
  if (post) list.push(["ln1b", norm, a.n1b.m, "attn_norm"])
  if (shut.block) list.push(["add1", T.adds, a.plus1.m, "block_out"])
  else if (a.plus1.w) list.push(["add1", add, a.plus1.m, a.plus2.w ? "resid_mid" : "resid_post"])
  if (a.n2.w > 1) list.push(["ln2", norm, a.n2.m, "ln2"])
  if (shut.mlp) list.push(...around(shut.mlp))
  else if (a.mlp.w) list.push(["mlp", app.mlpWords(), a.mlp.m, "mlp_post"], ["down", T.down, a.mout.m, "mlp_out"])
  if (a.n2b) list.push(["ln2b", norm, a.n2b.m, "mlp_norm"])
  if (a.plus2.w && !block.anatomy.parallel) list.push(["add2", add, a.plus2.m, "resid_post"])
  const y = L.bottom + Math.max(18, L.gap / 2) + (L.dense ? 4 : 2)
  const font = `${10.5 * app.k}px`
  let right = L.box.x + 6 - BETWEEN // the first stays in the frame of the block
  let low = 0
  keyed(
    app.dom.captions,
    list.map(([key, text, x, tensor], k) => {
      if (key === "mlp") right = Math.min(right, x - 20) // its name stands above the lanes
      const wide = widthOf(app, text, font) + 4 // no wider than its words: there are other buttons beside it
      const half = key === "mlp" ? 0 : wide / 2
      const aside = key === "mlp" ? 0 : Math.max(0, right + BETWEEN - (x - half)) // to the right, as far as it would touch the name before it
      low = aside > half + 6 && !low ? 1 : 0 // too far from its own sign: then names alternate between two lines
      const down = 13 * low
      const middle = low ? x : x + aside
      right = low ? Math.max(right, x + half) : middle + half
      return {
        key,
        update(n) {
          if (key === "mlp") put(n, x - wide / 2, laneY(L, 0) - L.mlpH / 2 - (L.dense ? 18 : 19), wide)
          else put(n, middle - wide / 2, y + down, wide)
          patch(n, text)
          n.dataset.opens = tensor
          set(n, "aria-disabled", !app.openable[tensor])
          n.title = text === norm ? T.legend_norm : ""
          n.tabIndex = k === 0 ? 0 : -1
        },
      }
    }),
    ({key}) =>
      h("button", {class: `caption c-${key}`, type: "button", "data-part": key, onclick: (e) => app.open(e.currentTarget.dataset.opens)}),
  )
}

// The names of closed parts, on their boxes. Pointed at or focused, they say why the part is closed, and its size.
function closed(app) {
  const {L, T, dom} = app
  const over = L.phone ? phoneClosed(app) : closedParts(app).map((each) => ({...each, place: boxOf(app, each.box)}))
  keyed(
    dom.closed,
    over.map(({part, title, reason, module, place}) => ({
      key: part,
      update(n) {
        put(n, place.x, place.y, place.w, L.phone ? place.h : Math.min(place.h, 56))
        patch(n.children[0], sentence(title))
        patch(n.children[1], T.closed_sub)
        set(n, "aria-label", [`${sentence(title)}. ${T.closed_sub}.`, reason, module].filter(Boolean).join(" "))
      },
    })),
    ({key}) =>
      h(
        "button",
        {
          class: "opaque",
          type: "button",
          "data-part": key,
          onclick: () => app.act({part: "closed", which: key, lane: chosen(app)}),
          onfocus: (e) => app.setHover({part: "closed", which: key, lane: 0}, corner(e.currentTarget)),
          onblur: () => app.setHover(null),
          onmouseenter: (e) => app.setHover({part: "closed", which: key, lane: 0}, e),
          onmouseleave: () => app.setHover(null),
        },
        h("b"),
        h("span"),
      ),
  )
  const {instead, goes = []} = app.block
  dom.instead.hidden = !instead
  if (!instead) return
  put(dom.instead, L.phone ? 20 : L.box.x + 20, L.headsY - 26, (L.phone ? L.W : L.box.r) - (L.phone ? 40 : L.box.x + 170))
  patch(dom.instead.children[0], instead)
  dom.instead.children[1].hidden = !goes.length
  patch(dom.instead.children[1], goes.length ? `${goes[0]} →` : "")
  dom.instead.children[1].onclick = () => app.focus({layer: goes[1]})
}

const corner = (n) => {
  const box = n.getBoundingClientRect()
  return {clientX: box.left + 8, clientY: box.bottom}
}

// Which tokens of a long text have lanes, and the slider that moves them.
function windowBar(app) {
  const {L, dom, tokens: t} = app
  dom.windowBar.hidden = !L.windowed
  if (!L.windowed) return
  if (L.phone) put(dom.windowBar, 10, L.y.embedding + 26, L.W - 20)
  else put(dom.windowBar, L.box.r - 440, L.top - 15, 312)
  dom.range.max = t.total - L.n
  if (app.root.getRootNode().activeElement !== dom.range) dom.range.value = t.start
  patch(dom.windowText, fill(L.phone ? app.T.window_most : app.T.window, {a: t.start + 1, b: t.start + L.n, n: t.total}))
}

export function syncOverlay(app) {
  place(app)
  besideLegend(app) // last, since it measures: that would give new elements a first place in the corner, from which CSS would move them
  const {stage} = app.dom
  if (!stage.classList.contains("unplaced")) return
  stage.getBoundingClientRect() // lays out the first places without a transition; `measureLayout` has measured when there were none yet
  stage.classList.remove("unplaced")
}

function place(app) {
  freshWidths()
  headings(app)
  pager(app)
  tokens(app)
  headButtons(app)
  nextList(app)
  closed(app)
  const {L, dom} = app
  windowBar(app)
  if (L.phone) {
    phoneOverlay(app, put)
    return
  }
  captions(app)
  dom.grid.hidden = !L.at.mat.w
  put(dom.grid, L.at.mat.x, L.top + 24, L.at.mat.w, L.frame)
  put(dom.play, L.box.r - 20, L.top - 14)
  put(dom.chart, L.at.blocks.x, L.top + 24, L.at.blocks.w, L.bottom + L.gap / 2 - L.top - 4)
}
