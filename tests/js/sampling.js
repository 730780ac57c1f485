import {chance, front, pipeline, removedBy} from "../../txpanel/views/sampling/pipeline.js"
import {given} from "./given.js"

const found = given().map(({logits, ids, settings}) => {
  const shown = pipeline(front(new Float32Array(logits), ids, settings), settings, null)
  const rows = [...shown.row.ids]
  return {
    kept: shown.stages.map((stage) => stage.kept),
    bits: shown.stages.map((stage) => stage.entropy),
    token: rows[shown.draw.rank],
    low: shown.draw.low,
    high: shown.draw.high,
    ids: rows,
    p: rows.map((_id, rank) => shown.stages.map((stage) => chance(stage, rank))),
    gone: rows.map((_id, rank) => removedBy(shown, rank)?.name ?? null),
  }
})
console.log(JSON.stringify(found))
