// txpanel/sampling.py once more, in the browser: logits of the whole vocabulary -> five stages -> the draw. Tokens stay sorted from the likeliest
// down (equal logits by id), and every stage keeps a beginning of that row, so a stage is a count. Tests hold the two together.

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

// Probabilities of the first `kept` tokens of a sorted row, float64
function softmax(values, kept) {
  const p = new Float64Array(kept)
  const max = values[0]
  let sum = 0
  for (let i = 0; i < kept; i++) sum += p[i] = Math.exp(values[i] - max)
  for (let i = 0; i < kept; i++) p[i] /= sum
  return p
}

function entropy(p) {
  let bits = 0
  for (const x of p) if (x > 0) bits -= x * Math.log2(x)
  return Math.max(0, bits)
}

function scaled(values, temperature) {
  const t = Math.fround(temperature)
  const out = new Float32Array(values.length)
  const safe = Number.isFinite(Math.fround(values[0] / t)) && Number.isFinite(Math.fround(values[values.length - 1] / t))
  for (let i = 0; i < values.length; i++) out[i] = (safe ? values[i] : Math.fround(values[i] - values[0])) / t
  return out
}

const topK = (values, kept, k) => {
  if (!k || k >= kept) return kept
  let n = k
  while (n < kept && values[n] === values[k - 1]) n++ // ties with the last one stay
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

// settings: temperature, top_k, top_p, min_p, uniform; counts: what the server counted for the same settings, if it has answered
function pipeline(row, settings, counts) {
  const stages = [{name: "logits", active: true, values: row.values, kept: row.values.length}]
  const after = (name, active, values, kept) => stages.push({name, active, values, kept})
  const {temperature, top_k, top_p, min_p, uniform} = settings
  const greedy = temperature === 0
  const values = greedy || temperature === 1 ? row.values : scaled(row.values, temperature)
  let kept = greedy ? 1 : values.length
  while (!greedy && kept > 1 && values[kept - 1] === -Infinity) kept--
  after("temperature", temperature !== 1, values, kept)
  kept = counts?.[2] ?? topK(values, kept, top_k)
  after("top_k", top_k > 0, values, kept)
  kept = counts?.[3] ?? (top_p < 1 ? topP(softmax(values, kept), top_p) : kept)
  after("top_p", top_p < 1, values, kept)
  kept = counts?.[4] ?? (min_p > 0 ? minP(softmax(values, kept), min_p) : kept)
  after("min_p", min_p > 0, values, kept)
  for (const stage of stages) {
    stage.p = softmax(stage.values, stage.kept)
    stage.entropy = entropy(stage.p)
  }
  return {stages, draw: draw(stages[4].p, uniform)}
}

// The piece of the bar from 0 to 1 into which the uniform number falls: low <= uniform < high
function draw(p, uniform) {
  let total = 0
  for (const x of p) total += x // may miss 1 by a hair: no number may fall off the end
  const edge = (low, rank) => (low + p[rank] >= total ? 1 : low + p[rank])
  let low = 0
  let rank = 0
  while (rank < p.length - 1 && edge(low, rank) <= uniform) low = edge(low, rank++)
  return {uniform, low, high: edge(low, rank), rank}
}
