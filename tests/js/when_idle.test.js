import assert from "node:assert/strict"
import test from "node:test"
import {whenIdle} from "../../txpanel/compat/when_idle.js"

test("requestIdleCallback is used where there is one", () => {
  const asked = []
  globalThis.requestIdleCallback = (work, options) => asked.push([work, options])
  const work = () => {}
  assert.equal(whenIdle(work, {timeout: 3}), 1)
  assert.deepEqual(asked, [[work, {timeout: 3}]])
  delete globalThis.requestIdleCallback
})

test("without requestIdleCallback, as in Safari, the work runs soon, and in slices all the same", async () => {
  const left = await new Promise((done) => {
    assert.ok(
      whenIdle((deadline) => {
        const first = deadline.timeRemaining()
        const end = performance.now() + 40
        while (performance.now() < end);
        done([first, deadline.timeRemaining()])
      }),
    )
  })
  assert.ok(left[0] > 0 && left[0] <= 20)
  assert.equal(left[1], 0)
})
