import {sentence} from "../../txpanel/views/flow/why_drawn.js"
import {given} from "./given.js"

const names = ["draw", "draw_greedy", "draw_only", "came_text", "came_by_hand", "came_greedy", "came_drawn"]
const numbers = ["draw", "came_drawn"]
const T = Object.fromEntries(
  names.map((name) => [name, `${name}: {token}${numbers.includes(name) ? " seed {seed}: {low} < {u} < {high}" : ""}`]),
)
const said = (part) => part.children ?? part
const parts = sentence(T, given())
console.log(JSON.stringify(parts?.map(said).flat(Infinity).join("") ?? null))
