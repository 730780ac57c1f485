import assert from "node:assert/strict"
import {test} from "node:test"
import {alone, quoted} from "../../txpanel/toolkit/elements.js"
import {quoted as inFlow, shown} from "../../txpanel/views/flow/core.js"

test("between quotation marks the blanks of a token are drawn, in it they stay", () => {
  for (const said of [quoted, inFlow]) {
    assert.equal(said(" capital"), "␣capital")
    assert.equal(said("  two"), "␣␣two")
    assert.equal(said("capital"), "capital")
    assert.equal(said(" New York"), "␣New York")
    assert.equal(said(" "), "␣")
  }
})

test("a label has no leading blanks", () => {
  assert.equal(shown(" capital"), "capital")
  assert.equal(shown("\n"), "↵")
  assert.equal(inFlow(" a\n"), "␣a↵")
  assert.equal(alone(" capital"), " capital")
})
