// The next tokens with the settings as the sliders stand: the server's list if it has answered for them, else computed here from the logits.
import {chance, pipeline, reorderingStages} from "../../decoding/pipeline.js"

const BEFORE = 4 // how many tokens are listed that a stage has cut off before the first one kept, as in decoding/ranking.py
export const NEAR = 1e-9
const runs = new WeakMap() // what the server sent of a position -> its logits, and the last result of the stages that look back at the text

const same = (a, b, declared) => declared.every(({key}) => Math.abs(a[key] - b[key]) < NEAR)

function reordered(odds, settings, declared) {
  const looking = declared.filter((stage) => stage.looks_back).map(({key}) => settings[key])
  const key = looking.join("/")
  const run = runs.get(odds) ?? {raw: new Float32Array(odds.logits), names: new Map([...odds.ids].map((id, i) => [id, odds.names[i]]))}
  if (run.key !== key) Object.assign(run, {key, row: reorderingStages(run.raw, odds.text, settings, declared)})
  runs.set(odds, run)
  return run
}

// sent: `next_tokens.next_payload`. odds: `next_tokens.odds_payload`, if it has come. settings: a value for each declared stage.
export function nextTokens(sent, odds, settings, declared) {
  if (same(sent.settings, settings, declared)) return sent
  if (!odds?.logits || odds.position !== sent.position || odds.stamp !== sent.stamp) return sent
  const {names, row} = reordered(odds, settings, declared)
  const shown = row.usable ? pipeline(row, {...settings, uniform: sent.settings.uniform}, declared, null) : null
  const start = shown?.last.start ?? 0
  const most = Math.min(sent.ids.length, row.row.ids.length)
  const before = Math.min(start, BEFORE)
  const ranks = Array.from({length: most}, (_, i) => (i < before ? i : start + i - before)).filter((rank) => rank < row.row.ids.length)
  const draws = sent.sampled >= 0 && shown ? shown.draw.rank : -1
  if (draws >= 0 && !ranks.includes(draws)) ranks[ranks.length - 1] = draws
  const ids = ranks.map((rank) => row.row.ids[rank])
  const known = new Map([...sent.ids].map((id, i) => [id, sent.strings[i]]))
  const probability = ranks.map((rank) => chance(row.stages[0], rank))
  const share = ranks.map((rank) => (shown ? chance(shown.last, rank) : 0))
  const left = shown ? Math.max(0, shown.last.kept - share.filter((p) => p > 0).length) : 0
  const sum = (list) => list.reduce((total, p) => total + p, 0)
  return {
    ...sent,
    ids,
    strings: ids.map((id) => known.get(id) ?? names.get(id) ?? `#${id}`),
    probability,
    share,
    rest: Math.max(0, 1 - sum(probability)),
    rest_share: left ? Math.max(0, 1 - sum(share)) : 0,
    rest_left: left,
    sampled: draws < 0 ? -1 : ranks.indexOf(draws),
    draw: draws < 0 ? null : {low: shown.draw.low, high: shown.draw.high, kept: shown.last.kept},
    settings: {...settings, seed: sent.settings.seed, uniform: sent.settings.uniform}, // a seed without its number u would be another draw
  }
}

/** Whether two lists draw the same bars: so it is when the server confirms what was drawn during a drag. */
export function sameBars(a, b) {
  if (a === b || !a || !b || a.ids.length !== b.ids.length) return a === b
  const near = (one, other) => one.every((value, i) => Math.abs(value - other[i]) < 1e-6)
  return a.ids.every((id, i) => id === b.ids[i]) && near([...a.share], b.share) && near([...a.probability], b.probability)
}
