// What is under the pointer: from a point to a part, and from a part to the words of the tooltip and to what a click does.

import {qkvBox} from "./attention.js"
import {closedAt} from "./closed.js"
import {clamp, fill, integer, number, percent, quoted} from "./core.js"
import {colX, earlierX, firstX, laneY} from "./layout.js"
import {mlpBox} from "./mlp.js"
import {bothSides, firstKey, lastKey, outside} from "./pattern.js"
import {barAt, stripWidth} from "./strips.js"

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1)
const inside = (x, a, b) => x >= a && x <= b

function laneAt(L, y) {
  const i = Math.round((y - L.y0) / L.gap)
  return i >= 0 && i < L.n && Math.abs(y - laneY(L, i)) <= Math.min(L.gap / 2, 34) ? i : -1
}

function cellAt(app, x, y) {
  const {L} = app
  const lane = laneAt(L, y)
  if (lane < 0) return null
  if (outside(app)) {
    if (Math.abs(x - firstX(L)) < L.pitch / 2) return Number.isNaN(app.head.first[lane]) ? null : {part: "first", lane}
    if (Math.abs(x - earlierX(L)) < L.pitch / 2) return Number.isNaN(app.head.earlier[lane]) ? null : {part: "earlier", lane}
  }
  const j = Math.round((x - L.c0) / L.pitch)
  if (j < firstKey(app, lane) || j > lastKey(app, lane) || Math.abs(x - colX(L, j)) > L.pitch / 2) return null
  return {part: "cell", query: lane, key: j, lane}
}

function stripPart(strip, lane, x, x0, w) {
  return inside(x, x0 - 1, x0 + w + 1) ? {part: "strip", strip, lane, bar: barAt(strip, lane, x, x0, w)} : null
}

function mapAt(app, x, y) {
  const m = app.hit.map
  return m && inside(x, m.x, m.x + m.s) && inside(y, m.y, m.y + m.s) ? {part: "map", at: (y - m.y) / m.s} : null
}

function blockAt(app, x, y) {
  const b = app.hit.blocks
  if (!b || !inside(x, b.x - 2, b.x + b.w + 2) || !inside(y, b.y0, b.y1)) return null
  return {part: "block", layer: clamp(Math.floor(((x - b.x) / b.w) * app.layers), 0, app.layers - 1), up: y < b.mid}
}

function stripsAt(app, lane, x, y) {
  const {L, tokens, head, block} = app
  const a = L.at
  const dy = y - laneY(L, lane)
  if (inside(x, a.embed.x, a.embed.r)) {
    const w = stripWidth(app, tokens.embed, a.embed.w)
    return stripPart(tokens.pos_embed && dy > 0 ? tokens.pos_embed : tokens.embed, lane, x, a.embed.r - w, w)
  }
  const shut = closedAt(app, lane, x)
  if (shut) return shut
  if (block.anatomy.mixer === "open" && inside(x, a.qkv.x, a.qkv.r)) {
    const b = qkvBox(app, lane)
    const r = clamp(Math.floor((y - b.row(0)) / (b.row(1) - b.row(0))), 0, 2)
    if (b.letters && x < b.strips.x - 1) return {part: "badge", which: ["q", "k", "v"][r], lane}
    return stripPart(head[["q", "k", "v"][r]], lane, x, b.strips.x, b.strips.w)
  }
  if (head.z && inside(x, a.z.x, a.z.r)) return stripPart(head.z, lane, x, a.z.x, stripWidth(app, head.z, a.z.w))
  if (a.aout && block.attn_out && inside(x, a.aout.x, a.aout.r))
    return stripPart(block.attn_out, lane, x, a.aout.x, stripWidth(app, block.attn_out, a.aout.w))
  if (block.anatomy.mlp === "open" && inside(x, a.mlp.x, a.mlp.r)) {
    const b = mlpBox(app, lane)
    if (block.experts && (!b.rows.length || y < b.row(0) - 1)) return {part: "experts", lane}
    const r = clamp(Math.floor((y - b.row(0)) / b.each), 0, b.rows.length - 1)
    return stripPart(block[b.rows[r]], lane, x, b.strips.x, b.strips.w)
  }
  if (block.mlp_out && inside(x, a.mout.x, a.mout.r))
    return stripPart(block.mlp_out, lane, x, a.mout.x, stripWidth(app, block.mlp_out, a.mout.w))
  return null
}

// The words in the corner that name the axes: rows are queries, columns are keys.
function axesAt(app, x, y) {
  const {L, k} = app
  return !bothSides(app) && x > L.at.mat.r - 108 * k && inside(y, L.top + 26, L.top + 42 + 14 * k) ? {part: "axes"} : null
}

export function partAt(app, x, y) {
  if (app.L.phone) return app.phoneAt(x, y)
  const found = mapAt(app, x, y) ?? blockAt(app, x, y)
  if (found) return found
  const a = app.L.at
  if (a.mat.w && inside(x, a.mat.x, a.mat.r)) return cellAt(app, x, y) ?? axesAt(app, x, y)
  const lane = laneAt(app.L, y)
  if (lane < 0) return null
  for (const name of ["n1", "n1b", "plus1", "n2", "n2b", "plus2"]) {
    if (a[name]?.w > 1 && Math.abs(x - a[name].m) < 13) return {part: name, lane}
  }
  const strip = stripsAt(app, lane, x, y)
  if (strip) return strip
  if (a.mat.w && inside(x, a.wo.x - 2, a.wo.r + 4)) return {part: "wo", lane}
  if (a.mat.w && inside(x, a.share.x, a.share.r + 4)) return {part: "share", lane}
  return inside(x, a.embed.r, a.blocks.x) && Math.abs(y - laneY(app.L, lane)) < 6 ? {part: "lane", lane} : null
}

const token = (app, lane) => `“${quoted(app.tokens.strings[lane])}”`
// What a tensor is, and where, in words: block and head counted from 1, as everywhere on the page; the code in the second line counts from 0.
const where = ({T, block, head}, at = {}) =>
  fill(at.head === undefined && at.kv_head === undefined ? T.in_block : T.in_head, {b: block.layer + 1, h: head.head + 1})
function what(app, name, at, lane) {
  const inside = /^blocks\.\d+\./
  const said = app.T.tensors[name.replace(inside, "")]
  if (!said) return inside.test(name) ? `${where(app, at)}. ` : ""
  return `${fill(said, {token: token(app, lane)})}${inside.test(name) ? `, ${where(app, at)}` : ""}. `
}
const coords = (at) =>
  Object.entries(at)
    .map(([k, v]) => `${k} ${v}`)
    .join(", ")

// Which expert's neurons a slot holds for this token, and the weight of its output.
function slotWords({T, block}, {strip, lane}) {
  if (strip.at.slot === undefined) return ""
  const at = lane * block.experts.expert.shape[1] + strip.at.slot
  return `${fill(T.slot_more, {e: block.experts.expert[at], w: number(block.experts.weight[at])})} `
}

function stripWords(app, {strip, lane, bar}) {
  const at = {...strip.at, token: app.tokens.start + lane, [strip.axis]: bar.index}
  const one = bar.low === bar.high
  return {
    value: number(bar.value),
    name: `${strip.name} [${coords(at)}]`,
    more: `${what(app, strip.name, strip.at, lane)}${slotWords(app, {strip, lane})}${one ? "" : `${fill(app.T.bar, {a: integer(bar.low + 1), b: integer(bar.high + 1), n: integer(strip.size)})} `}${fill(app.T.full_colour, {s: number(bar.scale)})}`,
  }
}

const writeAt = ({block}, part) => (part === "plus1" ? block.wrote.mixer : block.wrote.mlp)

function nodeWords(app, {part, lane}) {
  const {block, T} = app
  const p = `blocks.${block.layer}.`
  if (part === "plus1" || part === "plus2") {
    const name = writeAt(app, part)
    const norm = block.norms[name][lane]
    const before = part === "plus1" && !block.anatomy.whole
    const share = norm / block.norms[before ? "resid_pre" : "resid_post"][lane]
    const said = before ? T.share_pre : block.anatomy.whole ? T.share_whole : T.share_post
    return {
      value: number(norm),
      name: `‖${p}${name}‖ [token ${app.tokens.start + lane}]`,
      more: `${fill(said, {s: percent(Math.min(share, 9.99)), token: token(app, lane)})} ${sentence(where(app))}.`,
    }
  }
  const after = part === "n1b" || part === "n2b"
  const shut = block.closed[NORMS[part]]
  return {
    value: block.anatomy.norm_kind,
    name: after ? `${p}${part === "n1b" ? block.wrote.mixer : block.wrote.mlp}` : `${p}${part === "n1" ? "ln1" : "ln2"}`,
    more: shut
      ? fill(T.norm_closed, {reason: shut.reason})
      : after
        ? T.norm_after
        : block.anatomy.norm_place === "post"
          ? T.norm_lane
          : T.norm_before,
  }
}

// Value, tensor name, one more line: the tooltip's words for a part.
export function words(app, hit) {
  const {T, head, block, tokens} = app
  const p = `blocks.${block.layer}.`
  const q = hit.lane
  switch (hit.part) {
    case "strip":
      return stripWords(app, hit)
    case "badge":
      return {
        value: fill(T.tensors[hit.which], {token: token(app, q)}),
        name: `${p}${hit.which} [${hit.which === "q" ? `head ${head.head}` : `kv_head ${head.kv}`}, token ${tokens.start + q}]`,
        more: `${sentence(where(app, {head: 0}))}. ${T.badge_more}`,
      }
    case "axes":
      return {value: `${T.who_looks} ${T.at_whom}`, more: T.axes, name: `${p}pattern [head ${head.head}, query, key]`}
    case "cell": {
      const [i, j] = [hit.query, hit.key]
      return {
        value: number(head.pattern[i * head.pattern.shape[1] + j]),
        name: `${p}pattern [head ${head.head}, query ${tokens.start + i}, key ${tokens.start + j}]`,
        more: `${fill(T.cell, {q: token(app, i), k: token(app, j)})} ${sentence(where(app, {head: 0}))}.`,
      }
    }
    case "first":
      return {value: number(head.first[q]), name: `${p}pattern [head ${head.head}, query ${tokens.start + q}, key 0]`, more: T.first_more}
    case "earlier":
      return {
        value: number(head.earlier[q]),
        name: `Σ ${p}pattern [head ${head.head}, query ${tokens.start + q}${bothSides(app) ? "" : `, key 1…${tokens.start - 1}`}]`,
        more: bothSides(app) ? T.elsewhere_more : T.earlier_more,
      }
    case "share":
      return {value: T.shares_of_v, name: `${p}pattern × ${p}v → ${p}z [head ${head.head}, token ${tokens.start + q}]`, more: T.share_more}
    case "wo": {
      const heads = block.anatomy.n_heads
      return {
        value: number(block.z_norm[q * heads + head.head]),
        name: `‖${p}z‖ [head ${head.head}, token ${tokens.start + q}]`,
        more: fill(T.wo_more, {n: heads}),
      }
    }
    case "experts": {
      const k = block.experts.expert.shape[1]
      const list = Array.from({length: k}, (_, s) => `${block.experts.expert[q * k + s]}: ${number(block.experts.weight[q * k + s])}`)
      return {value: list.join(" · "), name: `${p}expert_index, ${p}expert_weight [token ${tokens.start + q}]`, more: T.experts_more}
    }
    case "closed": {
      const {title, module, reason} = block.closed[hit.which]
      return {value: `${title}, ${T.closed_sub}`, name: module, more: fill(T.closed_more, {reason})}
    }
    case "block": {
      const written = app.anatomy.wrote[hit.layer][hit.up ? 0 : 1]
      if (!written) return {value: "–", name: app.anatomy.names[hit.layer], more: fill(T.go_block, {i: hit.layer + 1})}
      const norm = app.writes[hit.up ? "attn" : "mlp"][hit.layer]
      return {
        value: Number.isFinite(norm) ? number(norm) : "…",
        name: `‖blocks.${hit.layer}.${written}‖ [token ${app.sel.query}]`,
        more: fill(T.go_block, {i: hit.layer + 1}),
      }
    }
    case "lane":
      return {
        value: number(block.norms.resid_pre[q]),
        name: `‖${p}resid_pre‖ [token ${tokens.start + q}]`,
        more: fill(T.lane_more, {token: token(app, q)}),
      }
    case "map":
      return {value: fill(T.map, {p: app.head.pooled}), name: `${p}pattern [head ${head.head}]`, more: T.map_more}
    default:
      return nodeWords(app, hit)
  }
}

// The tensor of each norm, before a branch and behind it.
const NORMS = {n1: "ln1", n1b: "attn_norm", n2: "ln2", n2b: "mlp_norm"}

// What a click asks of the state: a selection, a question, and the tensor whose view is opened.
export function action(app, hit) {
  const {head, block, tokens} = app
  const p = `blocks.${block.layer}.`
  const t = tokens.start + (hit.lane ?? 0)
  switch (hit.part) {
    case "strip":
      return {
        open: hit.strip.name,
        focus: {query: t, ...(hit.strip.axis === "neuron" ? {neuron: hit.bar.index} : {})},
        ask: [hit.strip.name, {...hit.strip.at, token: t, [hit.strip.axis]: hit.bar.index}],
      }
    case "axes":
      return {open: "pattern"}
    case "cell":
      return {
        open: "pattern",
        focus: {query: tokens.start + hit.query, key: tokens.start + hit.key},
        ask: [`${p}pattern`, {head: head.head, query: tokens.start + hit.query, key: tokens.start + hit.key}],
      }
    case "badge":
      return {open: hit.which, focus: {query: t}}
    case "first":
      return {open: "pattern", focus: {query: t, key: 0}, ask: [`${p}pattern`, {head: head.head, query: t, key: 0}]}
    case "block":
      return {focus: {layer: hit.layer}}
    case "map":
      return {window: Math.round(hit.at * tokens.total - app.L.n / 2)}
    case "wo":
      return {open: "z", focus: {query: t}, ask: [`${p}z.norm`, {head: head.head, token: t}]}
    case "earlier":
    case "share":
      return {open: "z", focus: {query: t}}
    case "experts":
      return {open: "expert_index", focus: {query: t}}
    case "lane":
      return {open: "resid_pre", focus: {query: t}, ask: [`${p}resid_pre.norm`, {token: t}]}
    case "closed":
      return {open: {mixer: "pattern", mlp: "mlp_post"}[hit.which] ?? "resid_post"}
    case "plus1":
    case "plus2":
      return {
        open: hit.part === "plus1" && block.wrote.mlp ? "resid_mid" : "resid_post",
        focus: {query: t},
        ask: [`${p}${writeAt(app, hit.part)}.norm`, {token: t}],
      }
    default:
      return {open: NORMS[hit.part], focus: {query: t}}
  }
}
