import {index, lut} from "../../txpanel/toolkit/colours.js"

const hex = (table) =>
  Array.from({length: 256}, (_, i) => `#${[...table.slice(i * 3, i * 3 + 3)].map((c) => c.toString(16).padStart(2, "0")).join("")}`)
const maps = Object.fromEntries(
  ["probability", "magnitude", "signed"].map((kind) => [kind, [false, true].map((dark) => hex(lut(kind, dark)))]),
)
const values = [-9, -3, -1.5, 0, 0.01, 1, 2, 9]
console.log(JSON.stringify({...maps, values, indices: values.map((value) => index(value, -3, 2))}))
