// The same as txpanel.decoding.sampling, in the browser: logits of the whole vocabulary -> all stages -> the draw. Tokens stay sorted, the most likely
// first (equal logits by id), so what a stage keeps is a range of that row. Each stage's rule stands beside its declaration (decoding/stage_rules.js).
// Probabilities are doubles here and float32 in transformers: they agree to about 1e-6, and a token that close to a threshold may be on the other side
// of it until the server's own counts arrive. Tests compare the two.

import {draw} from "./draw.js"
import {rules} from "./stage_rules.js"

export const plain = (setting) => String(Math.round(setting * 1e4) / 1e4)

// The token at each rank. One number per token (logit in 32 bits, then id in 20) can be sorted without a comparing function, which is much slower.
function ranked(logits) {
  const n = logits.length
  const bits = new Uint32Array(new Float32Array(logits).buffer)
  const keys = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    const b = logits[i] === 0 ? 0 : bits[i] // -0 and 0 are equal
    const up = b >>> 31 ? ~b >>> 0 : (b | 0x80000000) >>> 0
    keys[i] = (0xffffffff - up) * 1048576 + i
  }
  keys.sort()
  const ids = new Uint32Array(n)
  const values = new Float32Array(n)
  for (let i = 0; i < n; i++) {
    ids[i] = keys[i] % 1048576
    values[i] = logits[ids[i]]
  }
  return {ids, values}
}

// The row after a few tokens (Map of id -> logit) got other logits: they are taken out and inserted at their new ranks. places: the rank of each before.
function moved(row, changes) {
  const n = row.ids.length
  const [ids, values, places] = [new Uint32Array(n), new Float32Array(n), new Uint32Array(n)]
  const fresh = [...changes].sort((a, b) => b[1] - a[1] || a[0] - b[0])
  const out = new Uint8Array(n)
  for (const id of changes.keys()) out[id] = 1
  const stood = new Map()
  const spots = []
  let to = 0
  let next = 0
  const insert = () => {
    spots.push(to)
    ids[to] = fresh[next][0]
    values[to++] = fresh[next++][1]
  }
  for (let i = 0; i < n; i++) {
    const id = row.ids[i]
    if (out[id]) {
      stood.set(id, i)
      continue
    }
    const value = row.values[i]
    while (next < fresh.length && (fresh[next][1] > value || (fresh[next][1] === value && fresh[next][0] < id))) insert()
    ids[to] = id
    values[to] = value
    places[to++] = i
  }
  while (next < fresh.length) insert()
  for (const spot of spots) places[spot] = stood.get(ids[spot])
  return {ids, values, places}
}

// Probabilities (float64) of the tokens from start to end of a row whose largest logit is `max`, with the sum of e^(logit - max) that they are
// divided by, how many there are, and their entropy in bits:
// with d = logit - max and S the sum of exp(d), it is ln S - sum of p d, without a logarithm for each token.
function softmax(values, start, end, max = values[start]) {
  const p = new Float64Array(end - start)
  let [sum, lost, kept] = [0, 0, 0]
  for (let i = start; i < end; i++) {
    const d = values[i] - max
    const power = Math.exp(d)
    if (d > -Infinity) {
      kept++
      lost += power * d
    }
    sum += p[i - start] = power
  }
  for (let i = 0; i < p.length; i++) p[i] /= sum
  return {p, kept, max, sum, entropy: Math.max(0, (Math.log(sum) - lost / sum) / Math.LN2)}
}

// The first n tokens that a stage leaves: their probabilities are known, and are divided by their sum
function head(stage, n) {
  const p = stage.p.slice(0, n)
  const {values, start} = stage
  let [sum, lost] = [0, 0]
  for (let i = 0; i < n; i++) sum += p[i]
  for (let i = 0; i < n; i++) {
    p[i] /= sum
    lost += p[i] * (values[start + i] - values[start])
  }
  return {p, kept: n, sum: stage.sum * sum, entropy: Math.max(0, (-Math.log(p[0]) - lost) / Math.LN2)}
}

// A run's logits, sorted, with their probabilities: computed once, since no setting changes them
const sorted = new WeakMap()
function run(raw) {
  if (!sorted.has(raw)) {
    const row = ranked(raw)
    sorted.set(raw, {row, ...softmax(row.values, 0, row.values.length)})
  }
  return sorted.get(raw)
}

// The logits and the stages that look back at the text. These change the order of the vocabulary, so the result is kept until their settings change.
// logits: those that each of these stages gets, by token id.
export function reorderingStages(raw, ids, settings, declared) {
  const own = run(raw)
  const size = raw.length
  const looking = declared.filter((stage) => stage.looks_back)
  const changes = new Map()
  const logits = [raw]
  for (const {key, off} of looking) {
    const before = logits[logits.length - 1]
    const found = settings[key] === off ? new Map() : rules[key].change(before, ids, settings[key])
    const after = found.size ? new Float32Array(before) : before
    for (const [id, logit] of found) {
      after[id] = logit
      changes.set(id, logit)
    }
    logits.push(after)
  }
  const row = changes.size ? moved(own.row, changes) : own.row
  const at = (numbers, places) => {
    // numbers in the order of the row
    const found = new numbers.constructor(places.length)
    for (let i = 0; i < places.length; i++) found[i] = numbers[places[i]]
    return found
  }
  const stages = [
    {
      name: "logits",
      active: true,
      start: 0,
      end: size,
      kept: own.kept,
      entropy: own.entropy,
      max: own.max,
      sum: own.sum,
      values: changes.size ? at(own.row.values, row.places) : row.values,
      p: changes.size ? at(own.p, row.places) : own.p,
    },
  ]
  let end = size
  while (end > 0 && row.values[end - 1] === -Infinity) end--
  looking.forEach(({key, off}, i) => {
    const stage = {...stages[i], name: key, active: settings[key] !== off}
    if (logits[i + 1] !== logits[i]) {
      const last = logits[i + 1] === logits[looking.length]
      stage.values = last ? row.values : at(logits[i + 1], row.ids)
      if (i === looking.length - 1) stage.end = end
      Object.assign(stage, softmax(stage.values, 0, stage.end, last ? row.values[0] : largest(stage.values)))
    }
    stages.push(stage)
  })
  const last = stages[stages.length - 1]
  if (last.end > end) Object.assign(last, softmax(row.values, 0, end), {end})
  return {row, stages, logits, usable: end > 0 && Number.isFinite(row.values[0])}
}

function largest(values) {
  let max = -Infinity
  for (const x of values) if (x > max) max = x
  return max
}

// A row with other logits in the same order: kept as long as a stage changes the same row by the same value
const scaled = new WeakMap()
function tempered(before, {key}, value) {
  const known = scaled.get(before.values)
  if (known?.key === key && known.value === value && known.start === before.start && known.end === before.end) return known.row
  const values = rules[key].scale(before, value)
  const row = values && {values, ...softmax(values, before.start, before.end)}
  scaled.set(before.values, {key, value, start: before.start, end: before.end, row})
  return row
}

// settings: a value for each declared stage, and uniform; answer: what the server counted for the same settings, if it has answered
export function pipeline(reordered, settings, declared, answer) {
  const stages = [...reordered.stages]
  for (const stage of declared) {
    if (stage.looks_back) continue
    const i = stages.length
    const before = stages[i - 1]
    const value = settings[stage.key]
    const active = value !== stage.off
    const rule = rules[stage.key]
    const base = active && rule.scale ? {...before, ...tempered(before, stage, value)} : before
    const found = active && rule.keep ? rule.keep(base, value) : {start: base.start, end: base.end}
    const start = answer ? answer.starts[i] : found.start
    const end = answer ? start + answer.kept[i] : found.end
    const left =
      start === base.start && end === base.end ? {} : start === base.start ? head(base, end - start) : softmax(base.values, start, end)
    stages.push({...base, ...left, ...found, name: stage.key, active, start, end, kept: end - start})
  }
  const last = {...stages[stages.length - 1], name: "renormalise", active: true}
  stages.push(last)
  return {stages, last, reordered, row: reordered.row, draw: draw(last.p, settings.uniform, last.start)}
}

// Probability of the token at a rank after a stage; 0 where it is removed
export const chance = (stage, rank) => (rank >= stage.start && rank < stage.end ? stage.p[rank - stage.start] : 0)

// Probability of a token (by id) at the end of an earlier state
export const chanceOf = (shown, id) => chance(shown.last, shown.row.ids.indexOf(id))

// The stage that removed the token at a rank, null if none did
export const removedBy = (shown, rank) =>
  shown.stages.find((stage) => rank < stage.start || rank >= stage.end || stage.values[rank] === -Infinity) ?? null
