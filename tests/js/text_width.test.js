import assert from "node:assert/strict"
import {test} from "node:test"

const heard = []
globalThis.document = {fonts: {status: "loaded", addEventListener: (name, act) => name === "loadingdone" && heard.push(act)}}
const {freshWidths, widthOf} = await import("../../txpanel/views/flow/text_width.js")

const app = {
  font: "Roboto",
  ctx: {font: "", measured: 0, each: 6, measureText: (text) => ({width: ++app.ctx.measured && text.length * app.ctx.each})},
}

test("a word is measured once", () => {
  freshWidths()
  assert.equal(widthOf(app, "the", "11px"), 18)
  freshWidths()
  assert.equal(widthOf(app, "the", "11px"), 18)
  assert.equal(app.ctx.measured, 1)
  assert.equal(app.ctx.font, "11px Roboto")
})

test("fonts that begin and end loading between two drawings change the widths", () => {
  freshWidths()
  widthOf(app, "cat", "11px")
  app.ctx.each = 7
  for (const act of heard) act()
  freshWidths()
  assert.equal(widthOf(app, "cat", "11px"), 21)
})

test("nothing is kept while fonts are loading", () => {
  document.fonts.status = "loading"
  widthOf(app, "dog", "11px")
  app.ctx.each = 8
  freshWidths()
  assert.equal(widthOf(app, "dog", "11px"), 24)
})
