import assert from "node:assert/strict"
import {test} from "node:test"
import {decoded, same, standIn} from "../../txpanel/toolkit/first_picture.js"

const bytes = (array) => Buffer.from(array.buffer).toString("base64")

// A model as Panel's components have it.
const real = (values) => {
  const hearers = []
  const heard = []
  return new Proxy(
    {values, heard},
    {
      get: (own, name) =>
        ({
          on: (names, call) => hearers.push([[names].flat(), call]),
          send_msg: (message) => heard.push(message),
          heard,
        })[name] ?? own.values[name],
      set: (own, name, value) => {
        own.values[name] = value
        for (const [names, call] of hearers) if (names.includes(name)) call()
        return true
      },
      has: (own, name) => name in own.values,
    },
  )
}

test("arrays come back with the same bytes", () => {
  const values = new Float32Array([0.1, Number.NaN, -3, Infinity])
  const found = decoded({a: [{$bytes: bytes(values), dtype: "float32", shape: [2, 2]}], text: "</script>", n: null})
  assert.deepEqual([...found.a[0]], [...values])
  assert.deepEqual([found.a[0].shape, found.a[0].dtype, found.text, found.n], [[2, 2], "float32", "</script>", null])
})

test("nested values are compared to the last level, and NaN equals NaN", () => {
  const one = () => ({a: [1, {b: new Float32Array([1, Number.NaN])}], c: "x"})
  assert.ok(same(one(), one()))
  const other = one()
  other.a[1].b[0] = 2
  assert.ok(!same(one(), other))
  assert.ok(!same([1], {0: 1, length: 1}))
  assert.ok(!same({a: 1}, {a: 1, b: 2}))
})

test("the real model takes over: messages arrive, equal values stay the same object, a different value is told once", () => {
  const {model, become} = standIn({tokens: {ids: [1, 2]}, text: "a", chosen: ""})
  const calls = []
  model.on(["text", "chosen"], () => calls.push("text or chosen"))
  model.on("tokens", () => calls.push("tokens"))
  model.send_msg({kind: "run"})
  const before = model.tokens
  const now = real({tokens: {ids: [1, 2]}, text: "b", chosen: "attention"})
  become(now)
  assert.deepEqual(now.heard, [{kind: "run"}])
  assert.equal(model.tokens, before)
  assert.deepEqual([model.text, model.chosen, model.isFirst], ["b", "attention", false])
  assert.deepEqual(calls, ["text or chosen"])
  now.tokens = {ids: [3]}
  assert.deepEqual(model.tokens, {ids: [3]})
  assert.deepEqual(calls, ["text or chosen", "tokens"])
  model.send_msg({kind: "later"})
  assert.equal(now.heard.length, 2)
})

test("what a module has set meanwhile is set on the real model", () => {
  const {model, become} = standIn({text: "a"})
  let told = 0
  model.on("text", () => {
    told += 1
  })
  model.text = ""
  assert.deepEqual([model.text, told], ["", 1])
  const now = real({text: "a"})
  become(now)
  assert.equal(now.text, "")
  assert.equal(model.text, "")
})
