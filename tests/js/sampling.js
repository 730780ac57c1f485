import {rules} from "../../txpanel/decoding/stage_rules.js"
import {chance, pipeline, removedBy, reorderingStages} from "../../txpanel/views/sampling/pipeline.js"
import {given} from "./given.js"

const [declared, cases] = given()
for (const {key} of declared) rules[key] = await import(`../../txpanel/decoding/stages/${key}.js`)
const found = cases.map(({logits, ids, settings}) => {
  const shown = pipeline(reorderingStages(new Float32Array(logits), ids, settings, declared), settings, declared, null)
  const all = [...shown.row.ids]
  const listed = all.slice(0, 40)
  return {
    kept: shown.stages.map((stage) => stage.kept),
    bits: shown.stages.map((stage) => stage.entropy),
    ids: listed,
    token: all[shown.draw.rank],
    rank: shown.draw.rank - shown.last.start,
    low: shown.draw.low,
    high: shown.draw.high,
    p: listed.map((_id, rank) => shown.stages.map((stage) => chance(stage, rank))),
    gone: all.map((_id, rank) => removedBy(shown, rank)?.name ?? null),
    all,
  }
})
console.log(JSON.stringify(found))
