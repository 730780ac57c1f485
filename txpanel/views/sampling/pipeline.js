// txpanel/sampling once more, in the browser: logits of the whole vocabulary -> nine stages -> the draw. Tokens stay sorted from the likeliest
// down (equal logits by id), so what a stage keeps is a stretch of that row: from its beginning, except after typical-p, which may take off both ends.
// Probabilities are doubles here and float32 in transformers: they agree to about 1e-6, and a token within that of a threshold may fall on the
// other side until the server's own counts arrive. Tests hold the two together.
export const STAGES = [
  "logits",
  "repetition_penalty",
  "no_repeat_ngram_size",
  "temperature",
  "top_k",
  "top_p",
  "min_p",
  "typical_p",
  "renormalise",
]
export const OFF = {repetition_penalty: 1, no_repeat_ngram_size: 0, temperature: 1, top_k: 0, top_p: 1, min_p: 0, typical_p: 1}
export const KNOBS = STAGES.slice(1, -1)
export const plain = (setting) => String(Math.round(setting * 1e4) / 1e4)

// Ranks: which token stands at which place. One number per token (logit in 32 bits, then id in 20) sorts without a comparing function.
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

// The same row after a few tokens (Map of id -> logit) got other logits: those are taken out and put in where they belong. places: where each stood.
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

// The first tokens of a sorted row that has its probabilities already: what is left shares what was cut off
export function head(stage, end) {
  const p = stage.p.slice(0, end)
  const {values, start} = stage
  let [sum, lost] = [0, 0]
  for (let i = 0; i < end; i++) sum += p[i]
  for (let i = 0; i < end; i++) {
    p[i] /= sum
    lost += p[i] * (values[start + i] - values[start])
  }
  return {p, kept: end, sum: stage.sum * sum, entropy: Math.max(0, (-Math.log(p[0]) - lost) / Math.LN2)}
}

// --- what looks back at the text ----------------------------------------------------------------------------------
function penalised(logits, ids, penalty) {
  const out = new Float32Array(logits)
  const r = Math.fround(penalty)
  for (const id of new Set(ids)) if (id < out.length) out[id] = logits[id] < 0 ? logits[id] * r : logits[id] / r
  return out
}

// Where in the text each token stands that would complete a run of n tokens once more: Map of id -> index of the run's beginning
function repeats(ids, n) {
  const found = new Map()
  const last = n > 0 && ids.length >= n ? ids.length - n : -1
  const prefix = ids.slice(ids.length + 1 - n)
  for (let at = 0; at <= last; at++) if (prefix.every((id, i) => ids[at + i] === id)) found.set(ids[at + n - 1], at)
  return found
}

// A run's logits in their order, with their probabilities: made once, however the knobs are turned
const sorted = new WeakMap()
function run(raw) {
  if (!sorted.has(raw)) {
    const row = ranked(raw)
    sorted.set(raw, {row, ...softmax(row.values, 0, row.values.length)})
  }
  return sorted.get(raw)
}

// The first three stages. They put the vocabulary into another order, so they are made once and kept until their settings change.
export function front(raw, ids, settings) {
  const {repetition_penalty: penalty, no_repeat_ngram_size: n} = settings
  const own = run(raw)
  const softer = penalty === 1 ? raw : penalised(raw, ids, penalty)
  const runs = repeats(ids, n)
  const changes = new Map()
  if (penalty !== 1) for (const id of ids) if (id < raw.length) changes.set(id, softer[id])
  for (const id of runs.keys()) if (id < raw.length) changes.set(id, -Infinity)
  const row = changes.size ? moved(own.row, changes) : own.row
  const at = (numbers, places) => {
    // numbers in the order of the row
    const found = new numbers.constructor(places.length)
    for (let i = 0; i < places.length; i++) found[i] = numbers[places[i]]
    return found
  }
  const whole = {start: 0, end: raw.length}
  const first = {
    name: STAGES[0],
    active: true,
    ...whole,
    kept: own.kept,
    entropy: own.entropy,
    max: own.max,
    sum: own.sum,
    values: changes.size ? at(own.row.values, row.places) : row.values,
    p: changes.size ? at(own.p, row.places) : own.p,
  }
  const second = {...first, name: STAGES[1], active: penalty !== 1}
  if (penalty !== 1) {
    second.values = runs.size ? at(softer, row.ids) : row.values
    Object.assign(second, softmax(second.values, 0, raw.length, runs.size ? largest(second.values) : row.values[0]))
  }
  let end = raw.length
  while (end > 0 && row.values[end - 1] === -Infinity) end--
  const same = !runs.size && end === raw.length
  const third = {...(same ? second : softmax(row.values, 0, end)), name: STAGES[2], active: n > 0, values: row.values, start: 0, end}
  return {row, runs, stages: [first, second, third], usable: end > 0 && Number.isFinite(row.values[0])}
}

function largest(values) {
  let max = -Infinity
  for (const x of values) if (x > max) max = x
  return max
}

// --- what the row alone decides -------------------------------------------------------------------------------------
function scaled(values, end, temperature) {
  const t = Math.fround(temperature)
  const out = new Float32Array(values.length)
  const safe = Number.isFinite(Math.fround(values[0] / t)) && Number.isFinite(Math.fround(values[end - 1] / t))
  for (let i = 0; i < values.length; i++) out[i] = (safe ? values[i] : Math.fround(values[i] - values[0])) / t
  return out
}

const topK = (values, end, k) => {
  if (!k || k >= end) return end
  let n = k
  while (n < end && values[n] === values[k - 1]) n++ // ties with the last one stay
  return n
}

// transformers adds up from the unlikely end and removes what together has at most 1 - p
const topP = (p, share) => {
  let tail = 0
  let n = p.length
  while (n > 1 && Math.fround(tail + p[n - 1]) <= Math.fround(1 - share)) tail += p[--n]
  return n
}

const minP = (p, share) => {
  let n = p.length
  while (n > 1 && Math.fround(p[n - 1]) < Math.fround(share * Math.fround(p[0]))) n--
  return n
}

// The tokens whose surprisal is closest to the entropy, until together they reach `mass`. In a sorted row they are neighbours:
// two fingers start where the surprisal passes the entropy, and the nearer one moves.
function typical({p, entropy}, mass) {
  const h = entropy * Math.LN2
  const distance = (i) => (i >= 0 && i < p.length ? Math.abs(-Math.log(p[i]) - h) : Infinity)
  const edge = Math.exp(-h)
  let right = 0
  while (right < p.length && p[right] > edge) right++
  let left = right // tokens from left to right - 1 are in
  let [before, after] = [distance(left - 1), distance(right)]
  let sum = 0
  let limit = 0
  while (left > 0 || right < p.length) {
    const down = right >= p.length || (left > 0 && before < after)
    const far = down ? before : after
    if (sum >= mass && far > limit) break // as far as the last one: in as well
    sum += p[down ? left - 1 : right]
    if (down) before = distance(--left - 1)
    else after = distance(++right)
    limit = far
  }
  return {start: left, end: right, limit}
}

// The row at a temperature: the same for all that the knobs behind it do
function warmed(front, temperature) {
  const before = front.stages[2]
  if (front.warm?.temperature !== temperature) {
    const values = scaled(before.values, before.end, temperature)
    front.warm = {temperature, values, ...softmax(values, 0, before.end)}
  }
  return front.warm
}

// settings: the seven knobs and uniform; answer: what the server counted for the same settings, if it has answered
export function pipeline(front, settings, answer) {
  const stages = [...front.stages]
  const after = (name, start, end, more = {}) => {
    const before = stages[stages.length - 1]
    const {values} = before
    const left =
      start === before.start && end === before.end ? {} : start === before.start ? head(before, end - start) : softmax(values, start, end)
    stages.push({...before, ...left, name, active: settings[name] !== OFF[name], start, end, kept: end - start, ...more})
    return stages[stages.length - 1]
  }
  const {temperature, top_k, top_p, min_p, typical_p} = settings
  const greedy = temperature === 0
  const known = answer?.kept
  let last = after("temperature", 0, greedy ? 1 : stages[2].end, greedy || temperature === 1 ? {} : warmed(front, temperature))
  last = after("top_k", 0, known?.[4] ?? topK(last.values, last.end, top_k))
  last = after("top_p", 0, known?.[5] ?? (top_p < 1 ? topP(last.p, top_p) : last.end))
  last = after("min_p", 0, known?.[6] ?? (min_p > 0 ? minP(last.p, min_p) : last.end))
  const near = typical_p < 1 ? typical(last, typical_p) : {start: 0, end: last.end}
  const start = known ? answer.start : near.start
  last = after("typical_p", start, known ? start + known[7] : near.end, near.limit === undefined ? {} : {limit: near.limit})
  stages.push({...last, name: "renormalise", active: true})
  return {stages, front, row: front.row, runs: front.runs, draw: draw(last.p, settings.uniform, last.start)}
}

// Probability of the token at a rank after a stage; 0 where it is removed
export const chance = (stage, rank) => (rank >= stage.start && rank < stage.end ? stage.p[rank - stage.start] : 0)

// The stage that removed the token at a rank, null if none did
export const removedBy = (shown, rank) =>
  shown.stages.find((stage) => rank < stage.start || rank >= stage.end || stage.values[rank] === -Infinity) ?? null

// Where the pieces of the bar begin: kept + 1 edges, the last one 1
function edgesOf(p) {
  const at = new Float64Array(p.length + 1)
  for (let i = 0; i < p.length; i++) at[i + 1] = at[i] + p[i]
  const total = at[p.length] // may miss 1 by a hair: no number may fall off the end
  for (let i = p.length; i >= 0 && at[i] >= total; i--) at[i] = 1
  return at
}

// Index of the piece that holds u: at[i] <= u < at[i + 1]
function pieceAt(at, u) {
  let [low, high] = [0, at.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (at[middle] <= u) low = middle
    else high = middle
  }
  return low
}

export function draw(p, uniform, start) {
  const edges = edgesOf(p)
  const i = pieceAt(edges, uniform)
  return {uniform, edges, low: edges[i], high: edges[i + 1], rank: start + i}
}

// How often each piece is hit by many numbers: Map of rank -> {count, seed: the first seed that hits it}
export function tally(shown, uniforms) {
  const found = new Map()
  uniforms.forEach((u, seed) => {
    const rank = shown.stages[8].start + pieceAt(shown.draw.edges, u)
    const one = found.get(rank)
    if (one) one.count++
    else found.set(rank, {count: 1, seed})
  })
  return found
}

// What the vocabulary adds up to at each temperature, as far as a few milliseconds suffice; true once all are there
export function summed(front, temperatures, milliseconds) {
  const {values, end} = front.stages[2]
  front.sums ??= []
  const {sums} = front
  for (const until = performance.now() + milliseconds; sums.length < temperatures.length; ) {
    const t = temperatures[sums.length]
    let sum = 0
    for (let i = 0; i < end; i++) {
      const one = Math.exp((values[i] - values[0]) / t)
      sum += one
      if (one * (end - i) < 1e-9) break // all that follow are smaller: they add less than the curve's width
    }
    sums.push(sum)
    if (performance.now() > until) break
  }
  return sums.length === temperatures.length
}

// Probability of the tokens at some ranks for each temperature: what temperature alone does, before anything is cut off
export function sweep(front, ranks, temperatures) {
  const {values} = front.stages[2]
  return temperatures.map((t, i) => ranks.map((rank) => Math.exp((values[rank] - values[0]) / t) / front.sums[i]))
}

// Probability of a token (by id) on the bar of an earlier state
export const chanceOf = (shown, id) => {
  const rank = shown.row.ids.indexOf(id)
  return chance(shown.stages[8], rank)
}
