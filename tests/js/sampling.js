import {chance, pipeline, removedBy, reorderingStages} from "../../txpanel/decoding/pipeline.js"
import {rules} from "../../txpanel/decoding/stage_rules.js"
import {given} from "./given.js"

const {declared, cases} = given()
for (const {key} of declared) rules[key] = await import(`../../txpanel/decoding/stages/${key}.js`)
const found = cases.map(({logits, ids, settings}) => {
  const reordered = reorderingStages(new Float32Array(logits), ids, settings, declared)
  const shown = pipeline(reordered, settings, declared, null)
  const rows = [...shown.row.ids]
  return {
    kept: shown.stages.map((stage) => stage.kept),
    bits: shown.stages.map((stage) => stage.entropy),
    token: rows[shown.draw.rank],
    rank: shown.draw.rank - shown.last.start,
    low: shown.draw.low,
    high: shown.draw.high,
    ids: rows,
    p: rows.slice(0, 40).map((_id, rank) => shown.stages.map((stage) => chance(stage, rank))),
    gone: rows.map((_id, rank) => removedBy(shown, rank)?.name ?? null),
  }
})
console.log(JSON.stringify(found))
