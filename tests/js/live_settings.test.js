import assert from "node:assert/strict"
import {test} from "node:test"
import {liveSettings, replies} from "../../txpanel/decoding/live_settings.js"

const place = (key) => {
  const heard = []
  const live = liveSettings(key, {moved: (change, own) => heard.push([change, own]), drawn: (token) => heard.push(token)})
  return {live, heard}
}

test("a setting that is changed in one place shows in all places of the same state, and in no other", () => {
  const [bar, flow, other] = [place("a"), place("a"), place("b")]
  bar.live.move({temperature: 0.4})
  assert.deepEqual(bar.heard, [[{temperature: 0.4}, true]])
  assert.deepEqual(flow.heard, [[{temperature: 0.4}, false]])
  assert.deepEqual(other.heard, [])
  assert.deepEqual(flow.live.over({temperature: 1, top_p: 0.9}), {temperature: 0.4, top_p: 0.9})
  flow.live.say({text: " a", p: 0.5})
  assert.deepEqual(bar.heard[1], {text: " a", p: 0.5})
  assert.equal(flow.heard.length, 1)
})

test("an older answer moves nothing back; after the answer to the change the server's values count", () => {
  const {live} = place("c")
  live.move({temperature: 0.4})
  live.heard({temperature: 0.7})
  assert.equal(live.over({temperature: 0.7}).temperature, 0.4)
  live.heard({temperature: 0.4})
  assert.equal(live.over({temperature: 1.5}).temperature, 1.5)
})

test("a value that the server never confirms does not stay for ever", () => {
  const {now} = Date
  const {live} = place("d")
  live.move({top_k: 5})
  Date.now = () => now() + 4000
  live.heard({top_k: 0})
  Date.now = now
  assert.equal(live.over({top_k: 0}).top_k, 0)
})

test("where no server answers, what was set stays in all places, however long ago that was", () => {
  const {now} = Date
  const answers = replies.come
  const [bar, flow] = [place("g"), place("g")]
  const stays = (temperature) => {
    bar.live.move({temperature})
    Date.now = () => now() + 4000
    bar.live.heard({temperature: 0.7}) // the bar is drawn again because of another slider
    Date.now = now
    for (const {live} of [bar, flow]) assert.equal(live.over({temperature: 0.7}).temperature, temperature)
  }
  globalThis.txpanelSaved = {}
  stays(0.4)
  globalThis.txpanelSaved = undefined
  replies.come = () => false // a connection that is lost
  stays(0.5)
  replies.come = answers
})

test("a place that was removed is not called", () => {
  const [one, gone] = [place("e"), place("e")]
  gone.live.stop()
  one.live.move({seed: 3})
  assert.deepEqual(gone.heard, [])
})

test("a place that draws a whole answer of its own is not held up by the others: they follow after its frame, with all that was moved", () => {
  const frames = []
  Object.assign(globalThis, {requestAnimationFrame: (act) => frames.push(act), scheduler: {postTask: (act) => frames.push(act)}})
  const heard = []
  const sampling = liveSettings("f", {alone: true, moved: (change, own) => heard.push([change, own])})
  const flow = place("f")
  sampling.move({temperature: 0.4})
  sampling.move({temperature: 0.5, top_k: 3})
  assert.deepEqual(heard, [
    [{temperature: 0.4}, true],
    [{temperature: 0.5, top_k: 3}, true],
  ])
  assert.deepEqual(flow.heard, [])
  assert.equal(flow.live.over({temperature: 1, top_k: 0}).temperature, 0.5) // it knows, should it draw for another reason
  assert.equal(frames.length, 1)
  frames.shift()()
  frames.shift()()
  assert.deepEqual(flow.heard, [[{temperature: 0.5, top_k: 3}, false]])
  sampling.move({top_k: 4})
  assert.equal(frames.length, 1) // and again
})

test("what another place has changed since is not undone by what is told after the frame", () => {
  const frames = []
  Object.assign(globalThis, {requestAnimationFrame: (act) => frames.push(act), scheduler: {postTask: (act) => act()}})
  const sampling = liveSettings("g", {alone: true})
  const [bar, other] = [place("g"), place("g")]
  sampling.move({temperature: 0.4, top_k: 3})
  bar.live.move({temperature: 0.9})
  frames.shift()()
  assert.deepEqual(other.heard, [
    [{temperature: 0.9}, false],
    [{temperature: 0.9, top_k: 3}, false],
  ])
})
