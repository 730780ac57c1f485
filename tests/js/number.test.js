import assert from "node:assert/strict"
import {test} from "node:test"
import {typedNumber} from "../../txpanel/page/lessons/number.js"

test("a number is read as the page and as people write it", () => {
  const same = {
    12.5: 12.5,
    "12,5": 12.5,
    "0,125": 0.125,
    " 50 % ": 50,
    "49,152": 49152,
    "1,234,567.5": 1234567.5,
    "１２．５％": 12.5,
    "−5": -5,
    "－5": -5,
    "1e-3": 0.001,
    ".5": 0.5,
    "+7": 7,
  }
  for (const [typed, number] of Object.entries(same)) assert.equal(typedNumber(typed), number, typed)
  assert.ok(Object.is(typedNumber("-0"), 0)) // a class counts it with 0
})

test("what is no number is none", () => {
  for (const typed of [
    "",
    " ",
    "%",
    "abc",
    "1e999",
    "1e15",
    "9".repeat(400),
    "0x10",
    "NaN",
    "Infinity",
    "1.2.3",
    "1.234,5",
    "½",
    "--5",
    "1,,2",
  ])
    assert.equal(typedNumber(typed), null, typed)
})
