import assert from "node:assert/strict"
import {test} from "node:test"
import {isOwn, linkOf} from "../../txpanel/page/lessons/link.js"
import {squares} from "../../txpanel/page/lessons/qr.js"

const HREF = "http://school.example:5006/txpanel?model=nano&text=CBA%3D&layer=1&temperature=0.3&why=blocks.0.pattern&lang=ja&dark=1&v=2#x"
const place = {lesson: "attention", step: "mask", code: ""}

test("a link has the model, the text and the step, and nothing of the sender's own view", () => {
  const found = new URL(linkOf(HREF, place))
  assert.equal(found.origin + found.pathname, "http://school.example:5006/txpanel")
  assert.deepEqual(Object.fromEntries(found.searchParams), {model: "nano", text: "CBA=", lesson: "attention", step: "mask"})
  assert.equal(found.hash, "")
})

test("the link to a class has no step: the class knows it", () => {
  const found = new URL(linkOf(`${HREF}&class=OLDOLD&step=one`, {...place, code: "ABCDEF"})).searchParams
  assert.equal(found.get("class"), "ABCDEF")
  assert.equal(found.get("step"), null)
})

test("a long text and an earlier class are left out", () => {
  const found = new URL(linkOf(`http://x.example/?text=${"a".repeat(301)}&class=OLDOLD`, place)).searchParams
  assert.equal(found.get("text"), null)
  assert.equal(found.get("class"), null)
})

test("addresses that only this computer can open are recognised", () => {
  for (const own of ["http://localhost:5006/x", "http://127.0.0.1/", "http://127.1.2.3/", "http://[::1]:5006/"]) assert.ok(isOwn(own), own)
  for (const not of ["http://192.168.0.7:5006/", "https://localhost.example/", "http://127.0.0.1.example/"]) assert.ok(!isOwn(not), not)
})

test("the path of a code has each dark module once, four modules from the edge", () => {
  const rows = ["1101", "0000", "1011", "0111"]
  const seen = new Set()
  for (const [, x, y, w] of squares(rows).matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g))
    for (let i = 0; i < Number(w); i++) seen.add(`${Number(y) - 4},${Number(x) - 4 + i}`)
  const dark = rows.flatMap((row, y) => [...row].flatMap((one, x) => (one === "1" ? [`${y},${x}`] : [])))
  assert.deepEqual([...seen].sort(), dark.sort())
})
