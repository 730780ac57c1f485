// What Python handed over: JSON on the input.
import {readFileSync} from "node:fs"

export const given = () => JSON.parse(readFileSync(0, "utf8"))
