// Joins all modules of txpanel into txpanel/toolkit/served/txpanel.js. Every module that exports `render` is a component, by its path;
// those of decoding/stages are the rules of stages, by their name.
import {readdirSync, readFileSync} from "node:fs"
import {basename, join} from "node:path"
import {build} from "esbuild"

const root = join(import.meta.dirname, "..", "txpanel")
const out = process.argv[2] ?? join(root, "toolkit", "served", "txpanel.js")
const modules = readdirSync(root, {recursive: true})
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".js") && !path.startsWith("toolkit/served/"))
  .filter((path) => /^export (async )?function render\b/m.test(readFileSync(join(root, path), "utf8")))
  .sort()
const stages = readdirSync(join(root, "decoding", "stages"))
  .filter((name) => name.endsWith(".js"))
  .map((name) => basename(name, ".js"))
  .sort()

const entry = `
import { component, declare } from "./toolkit/start.js"
export { laysOutLocally, settled, tx, waiting } from "./toolkit/start.js"
${modules.map((path, i) => `import { render as _${i} } from "./${path}"`).join("\n")}
import { rules } from "./decoding/stage_rules.js"
${stages.map((key, i) => `import * as rule${i} from "./decoding/stages/${key}.js"`).join("\n")}
Object.assign(rules, {${stages.map((key, i) => `${key}: rule${i}`).join(", ")}})
export default declare({
${modules.map((path, i) => `  ${JSON.stringify(path.replace(/\.js$/, ""))}: component(${JSON.stringify(path.replace(/\.js$/, ""))}, _${i}),`).join("\n")}
})
`
await build({
  stdin: {contents: entry, resolveDir: root, sourcefile: "all.js"},
  outfile: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  banner: {js: "// Made by scripts/bundle from the modules of txpanel."},
  logLevel: "warning",
})
