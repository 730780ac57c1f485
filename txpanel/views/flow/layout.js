// Where everything stands: a pure function of the width and of what the model has. Numbers only, so that layouts can be eased.
import {clamp, lerp} from "./core.js"

const PHONE = 1080 // narrower than that lanes run downwards; a page of a notebook, 1,150 pixels wide, leaves 1,102 or, with a scroll bar, 1,087
const ROOMY = 1200

// The least width of each part on a narrow page; parts that are not named keep their width.
const LEAST = {label: 66, embed: 48, mlp: 58, mout: 24, blocks: 92, next: 150, z: 40, shut1: 120, shut2: 56, min: 30, lin: 26, aout: 30}
const LEAST_COMPACT = {...LEAST, label: 58, embed: 28, mlp: 52, blocks: 88, next: 178, z: 32, fan: 20, shut2: 44}
const NONE = (...names) => names.map((name) => [name, 0, 0, 0]) // parts that a block does not have: columns without width

const EMPTY = NONE("n1", "qkv", "mat", "share", "z", "wo", "n2", "mlp", "mout", "plus2")

// From this many tokens on lanes are close, and what can be made smaller is, so that the pattern keeps room for its numbers.
const DENSE = 10
const DENSE_SOON = 5 // the same on narrow pages
const NUMBERED = 25 // up to this many tokens the pattern is made wide enough for its numbers
const SMALLER = {embed: 36, z: 38, mlp: 84, blocks: 102, wo: 14}

// The parts along a lane, in the order in which the model computes them: [name, width, share of spare width, gap before].
function parts(block, o) {
  const {norm_place: place, parallel, whole, mixer: mixing, mlp: neurons} = block.anatomy
  if (whole) return [["min", 48, 0.04, 10], ["shut1", 240, 0.5, 12], ["aout", 56, 0.06, 14], ["plus1", 24, 0, 12], ...EMPTY]
  const before = place === "pre" || place === "sandwich" // a norm at the input of a part
  const after = place === "sandwich" || place === "branch" // a norm at its output, before the add
  const behind = place === "post" // a norm of the residual stream itself, after the add
  const norm = (name, on, gap) => [name, on ? 16 : 0, 0, on ? gap : 0]
  const list = [norm("n1", before && mixing, 12)]
  if (mixing === "open") {
    list.push(
      ["qkv", o.compact ? 58 : o.dense ? 66 : 92, 0.06, 10],
      ["mat", o.mat, 0.34, o.dense ? 12 : 16],
      ["share", 12, 0, o.dense ? 8 : 12],
      ["z", 56, 0.05, o.dense ? 14 : 20],
      ["wo", 18, 0, 10],
    )
    if (o.wide) list.push(["aout", 50, 0.06, 12])
  } else {
    list.push(...NONE("qkv", "mat", "share", "z", "wo"))
    if (mixing) list.push(["min", 48, 0.05, 10], ["shut1", neurons ? 200 : 300, 0.5, 12], ["aout", 52, 0.06, 14])
  }
  if (after && mixing) list.push(norm("n1b", true, 8))
  const plus1 = mixing ? ["plus1", 24, 0, o.wide || mixing !== "open" ? 14 : 10] : NONE("plus1")[0]
  if (!parallel) list.push(plus1)
  if (behind && mixing) list.push(norm("n1", true, 6))
  list.push(norm("n2", before && !parallel && neurons, o.tidy ? 12 : 6)) // room for its name beside that of the add
  if (neurons === "opaque") list.push(["lin", 40, 0.04, 14], ["shut2", 112, 0.2, 10], ["mlp", 0, 0, 0], ["mout", 48, 0.05, 12])
  else if (neurons) list.push(["mlp", mixing ? 106 : 220, mixing ? 0.12 : 0.4, 16], ["mout", 48, 0.05, 16])
  else list.push(...NONE("mlp", "mout"))
  if (after && neurons) list.push(norm("n2b", true, 8))
  if (parallel) list.push(plus1)
  list.push(neurons ? ["plus2", 24, 0, parallel ? 0 : 10] : NONE("plus2")[0])
  if (behind && neurons) list.push(norm("n2", true, 6))
  return behind ? list.filter(([name, w], i) => w > 0 || !list.slice(i + 1).some(([later]) => later === name)) : list
}

function columns(width, block, o) {
  const tail = [
    ["blocks", 112, 0.14, o.dense ? 30 : o.compact ? 38 : 44],
    ["nf", 16, 0, 12],
    ["fan", 30, 0.02, 2],
    ["next", o.dense ? 190 : 214, 0.1, 0],
  ]
  const list = [
    ["label", o.small ? 84 : 96, 0.03, 0],
    ["embed", o.small ? 48 : 96, 0.05, 10],
    ["skip", 14, 0, 10],
    ...parts(block, o),
    ...tail,
  ].map(([name, w, share, gap]) => [name, o.dense && w ? Math.min(w, SMALLER[name] ?? w) : w, share, gap])
  const floor = o.compact ? LEAST_COMPACT : LEAST
  const least = (name, w) => Math.min(w, floor[name] ?? w)
  const others = list.reduce((sum, [name, w, , gap]) => sum + gap + (name === "mat" ? 0 : least(name, w)), 0)
  const matrix = clamp(width - 4 - others, Math.min(o.least, o.mat), o.mat) // what is left when all other parts have their least width
  const used = list.reduce((sum, [, w, , gap]) => sum + w + gap, 0)
  const spare = Math.max(0, width - used - 4)
  const shares = list.reduce((sum, [, , share]) => sum + share, 0)
  const slack = (name, w) => Math.max(0, w - (name === "mat" ? matrix : least(name, w)))
  const most = list.reduce((sum, [name, w]) => sum + slack(name, w), 0)
  const tight = clamp((used + 4 - width) / Math.max(1, most), 0, 1)
  const at = {}
  let x = 2
  for (const [name, w, share, gap] of list) {
    x += gap
    const full = w + (spare * share) / shares - slack(name, w) * tight
    at[name] = {x, w: full, m: x + full / 2, r: x + full}
    x += full
  }
  return at
}

// The layout for a width; null where lanes from left to right need more room.
export function desktop(app) {
  const {tokens, block, W} = app
  if (W < PHONE) return null
  const n = tokens.ids.length
  const compact = W < ROOMY
  const dense = n > (compact ? DENSE_SOON : DENSE)
  const tall = clamp(app.W / 1440, 0.92, 1.4)
  const gap = dense ? Math.max(18, Math.min(42, (430 * tall) / n)) : clamp((430 * tall) / n, 42 * tall, 72 * tall)
  const windowed = tokens.total > n
  const small = n > 6
  const left = windowed ? 2 : 0 // columns for the first token and for all between it and the window
  const cell = n <= 14 ? 23 : n <= NUMBERED ? 16.8 : 13 // a column has room for a weight: up to 14 tokens in full size, then in small letters, above 25 only turned
  const mat = dense ? 28 + (n + left * 1.7) * cell : lerp(compact ? 150 : 176, 250, clamp((n - 5) / 4, 0, 1))
  const at = columns(W, block, {
    dense,
    compact,
    small,
    mat,
    least: dense ? (compact ? 150 : 190) : Math.min(mat, 28 + Math.max(5, n) * 23),
    wide: W >= 1560,
    tidy: !dense && W >= 1320,
  })
  if (compact && at.next.r > W) return null
  const top = 64 // the block's frame
  const span = (n - 1) * gap
  const least = 250 * tall
  const y0 = top + 64 + Math.max(0, (least - span) / 2)
  const inner = at.mat.w - 28
  const pitch = at.mat.w ? Math.min(gap, 44 * tall, inner / (n + left * 1.7)) : gap // without attention there are no cells
  const used = pitch * (n + left * 1.7)
  const c0 = at.mat.x + 14 + (inner - used) / 2 + pitch / 2 + pitch * left * 1.7
  const bottom = Math.max(y0 + span, top + 64 + least)
  const box = {x: at.skip.r + 2, r: Math.max(at.plus1.r, at.plus2.r, at.n1.r, at.n2.r) + 14}
  const heads = block.anatomy.n_heads
  const perRow = Math.max(4, Math.floor((box.r - box.x - 170) / 24))
  const rows = Math.ceil(heads / perRow)
  const groups = Math.max(1, Math.min(heads, perRow))
  const extra = block.anatomy.n_kv_heads > 1 && block.anatomy.n_kv_heads < heads ? (block.anatomy.n_kv_heads - 1) * 8 : 0
  const thumb = clamp((box.r - box.x - 170 - extra) / groups - 6, 16, rows > 1 ? 26 : 40 * tall)
  const rowH = clamp((bottom - top + 20) / 14.6, 20, 32 * tall)
  const headsY = bottom + Math.max(18, gap / 2) + (dense ? 74 : 52)
  const boxBottom = headsY + (heads ? rows * (thumb + 20) + 12 : 30) // a block without heads says so in one line
  const listY = top + Math.max(4, (bottom - top - rowH * 14) / 2)
  return {
    phone: false,
    W,
    H: Math.max(boxBottom + 6, listY + rowH * 14 + 14 + (app.handlesH || 0)),
    n,
    gap,
    top,
    y0,
    bottom,
    dense,
    windowed,
    at,
    pitch,
    c0,
    left,
    box,
    radius: Math.min(16 * tall, pitch / 2 - 1.5, gap / 2 - 3),
    circles: !dense && pitch >= 18,
    strip: clamp(gap * 0.27, 6, 19),
    qkvH: Math.min(gap - (dense ? 2 : 10), 54 * tall),
    compact,
    badges: gap - (dense ? 2 : 10) >= (compact ? 28 : 26), // q, k, v beside their strips; else once over them
    frame: bottom - top + gap / 2 + (dense ? 18 : -4), // of the pattern: its names stand under it where cells are close
    mlpH: Math.min(gap - (dense ? 4 : 10), 50 * tall),
    headsY,
    thumb,
    perRow,
    boxBottom,
    tall,
    rowH,
    listY,
  }
}

// Vertical place of lane i, and horizontal place of key column j.
export const laneY = (L, i) => L.y0 + i * L.gap
export const colX = (L, j) => L.c0 + j * L.pitch
export const firstX = (L) => L.c0 - L.pitch * L.left * 1.7
export const earlierX = (L) => L.c0 - L.pitch * 1.6

// The layout between two others: only numbers move, the rest is the later one's.
export function between(a, b, t) {
  if (t >= 1 || !a || a.phone || b.phone) return b
  const mix = (x, y) => {
    if (typeof y === "number" && typeof x === "number") return lerp(x, y, t)
    if (y && typeof y === "object" && x) return Object.fromEntries(Object.keys(y).map((k) => [k, mix(x[k], y[k])]))
    return y
  }
  return {...mix(a, b), n: b.n, left: b.left, windowed: b.windowed, circles: b.circles}
}

// By how many pixels the settings are inset in the column of the next tokens.
export const handlesIn = (L) => (L.phone ? 4 : 8)

// Square thumbnails of the block's heads, with a wider gap between groups that share k and v.
export function thumbAt(L, block, h) {
  const {n_heads: heads, n_kv_heads: kv} = block.anatomy
  const group = kv > 1 && kv < heads ? Math.floor((h * kv) / heads) : 0
  const line = Math.floor(h / L.perRow)
  const first = line * L.perRow
  const group0 = kv > 1 && kv < heads ? Math.floor((first * kv) / heads) : 0
  return {x: L.box.x + 22 + (h - first) * (L.thumb + 6) + (group - group0) * 8, y: L.headsY + line * (L.thumb + 20), s: L.thumb}
}
