// txpanel/sampling once more, in the browser: logits of the whole vocabulary -> nine stages -> the draw. Tokens stay sorted from the likeliest
// down (equal logits by id), so what a stage keeps is a stretch of that row: from its beginning, except after typical-p, which may take off both ends.
// Probabilities are doubles here and float32 in transformers: they agree to about 1e-6, and a token within that of a threshold may fall on the
// other side until the server's own counts arrive. Tests hold the two together.
const STAGES = ["logits", "repetition_penalty", "no_repeat_ngram_size", "temperature", "top_k", "top_p", "min_p", "typical_p", "renormalise"]
const OFF = {repetition_penalty: 1, no_repeat_ngram_size: 0, temperature: 1, top_k: 0, top_p: 1, min_p: 0, typical_p: 1}
const KNOBS = STAGES.slice(1, -1)
const plain = (setting) => String(Math.round(setting * 1e4) / 1e4)

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

// Probabilities of the tokens from start to end of a sorted row, float64
function softmax(values, start, end) {
  const p = new Float64Array(end - start)
  let sum = 0
  for (let i = start; i < end; i++) sum += p[i - start] = Math.exp(values[i] - values[start])
  for (let i = 0; i < p.length; i++) p[i] /= sum
  return p
}

function entropy(p) {
  let bits = 0
  for (const x of p) if (x > 0) bits -= x * Math.log2(x)
  return Math.max(0, bits)
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

// The first three stages. They sort the vocabulary anew, so they are made once and kept until their settings change.
function front(raw, ids, settings) {
  const {repetition_penalty: penalty, no_repeat_ngram_size: n} = settings
  const softer = penalty === 1 ? raw : penalised(raw, ids, penalty)
  const runs = repeats(ids, n)
  let last = softer
  if (runs.size) {
    last = new Float32Array(softer)
    for (const id of runs.keys()) if (id < last.length) last[id] = -Infinity
  }
  const row = ranked(last)
  const at = (logits) => row.ids.length && logits !== last ? Float32Array.from(row.ids, (id) => logits[id]) : row.values
  const stage = (name, active, values) => {
    const p = unsorted(values)
    let kept = 0
    for (const x of values) if (x > -Infinity) kept++
    return {name, active, values, start: 0, end: values.length, p, entropy: entropy(p), kept}
  }
  const first = stage("logits", true, at(raw))
  const second = penalty === 1 ? {...first, name: STAGES[1], active: false} : stage(STAGES[1], true, at(softer))
  let end = row.values.length
  while (end > 0 && row.values[end - 1] === -Infinity) end--
  const p = softmax(row.values, 0, end)
  const third = {name: STAGES[2], active: n > 0, values: row.values, start: 0, end, p, entropy: entropy(p), kept: end}
  return {row, runs, stages: [first, second, third], usable: end > 0 && Number.isFinite(row.values[0])}
}

function unsorted(values) {
  let max = -Infinity
  for (const x of values) if (x > max) max = x
  const p = new Float64Array(values.length)
  let sum = 0
  for (let i = 0; i < p.length; i++) sum += p[i] = Math.exp(values[i] - max)
  for (let i = 0; i < p.length; i++) p[i] /= sum
  return p
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
function typical(p, mass) {
  const h = entropy(p) * Math.LN2
  const distance = (i) => Math.abs(-Math.log(p[i]) - h)
  let right = 0
  while (right < p.length && -Math.log(p[right]) < h) right++
  let left = right // tokens from left to right - 1 are in
  let sum = 0
  let limit = 0
  while (left > 0 || right < p.length) {
    const side = right >= p.length || (left > 0 && distance(left - 1) < distance(right)) ? left - 1 : right
    const far = distance(side)
    if (sum >= mass && far > limit) break // as far as the last one: in as well
    if (side < left) left--
    else right++
    sum += p[side]
    limit = far
  }
  return {start: left, end: right, limit, entropy: h}
}

// settings: the seven knobs and uniform; answer: what the server counted for the same settings, if it has answered
function pipeline(head, settings, answer) {
  const stages = [...head.stages]
  const after = (name, values, start, end, more = {}) => {
    const before = stages[stages.length - 1]
    const same = values === before.values && start === before.start && end === before.end
    const p = same ? before.p : softmax(values, start, end)
    stages.push({name, active: settings[name] !== OFF[name], values, start, end, p, kept: end - start, entropy: same ? before.entropy : entropy(p), ...more})
    return p
  }
  const {temperature, top_k, top_p, min_p, typical_p} = settings
  const {values} = stages[2]
  const greedy = temperature === 0
  const warm = greedy || temperature === 1 ? values : scaled(values, stages[2].end, temperature)
  const known = answer?.kept
  let p = after("temperature", warm, 0, greedy ? 1 : stages[2].end)
  p = after("top_k", warm, 0, known?.[4] ?? topK(warm, p.length, top_k))
  p = after("top_p", warm, 0, known?.[5] ?? (top_p < 1 ? topP(p, top_p) : p.length))
  p = after("min_p", warm, 0, known?.[6] ?? (min_p > 0 ? minP(p, min_p) : p.length))
  const near = typical_p < 1 ? typical(p, typical_p) : {start: 0, end: p.length}
  const start = known ? answer.start : near.start
  after("typical_p", warm, start, known ? start + known[7] : near.end, near.limit === undefined ? {} : {limit: near.limit})
  const last = stages[7]
  stages.push({...last, name: "renormalise", active: true})
  return {stages, row: head.row, runs: head.runs, draw: draw(last.p, settings.uniform, last.start)}
}

// Probability of the token at a rank after a stage; 0 where it is removed
const chance = (stage, rank) => (rank >= stage.start && rank < stage.end ? stage.p[rank - stage.start] : 0)

// The stage that removed the token at a rank, null if none did
const removedBy = (shown, rank) => shown.stages.find((stage) => rank < stage.start || rank >= stage.end || stage.values[rank] === -Infinity) ?? null

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

function draw(p, uniform, start) {
  const edges = edgesOf(p)
  const i = pieceAt(edges, uniform)
  return {uniform, edges, low: edges[i], high: edges[i + 1], rank: start + i}
}

// How often each piece is hit by many numbers: Map of rank -> {count, seed: the first seed that hits it}
function tally(shown, uniforms) {
  const found = new Map()
  uniforms.forEach((u, seed) => {
    const rank = shown.stages[8].start + pieceAt(shown.draw.edges, u)
    const one = found.get(rank)
    if (one) one.count++
    else found.set(rank, {count: 1, seed})
  })
  return found
}

// Probability of the tokens at some ranks for each temperature: what temperature alone does, before anything is cut off
function sweep(stage, ranks, temperatures) {
  return temperatures.map((t) => {
    let sum = 0
    for (let i = 0; i < stage.end; i++) {
      const power = Math.exp((stage.values[i] - stage.values[0]) / t)
      sum += power
      if (power * (stage.end - i) < 1e-9) break // all that follow are smaller: they add less than the curve's width
    }
    return ranks.map((rank) => Math.exp((stage.values[rank] - stage.values[0]) / t) / sum)
  })
}
