import assert from "node:assert/strict"
import {test} from "node:test"
import {between, colX, desktop, laneY, thumbAt} from "../../txpanel/views/flow/layout.js"

const anatomy = {norm_place: "pre", parallel: false, n_heads: 12, n_kv_heads: 4, mixer: "open", mlp: "open"}
const page = (n, W, more = {}) => ({W, tokens: {ids: Array(n).fill(0), total: n}, block: {anatomy: {...anatomy, ...more}}})
const PLACES = ["pre", "post", "sandwich", "branch"]

test("parts follow each other without overlapping, whatever the model and the width", () => {
  for (const norm_place of PLACES)
    for (const parallel of [false, true])
      for (const W of [1087, 1102, 1200, 1440, 1700, 2560])
        for (const n of [1, 6, 11, 24]) {
          const {at} = desktop(page(n, W, {norm_place, parallel}))
          const parts = Object.values(at).filter(({w}) => w > 0)
          for (const [i, part] of parts.entries()) {
            assert.ok(part.w > 0 && part.r <= W + 1, `${norm_place} ${parallel} ${W} ${n}: ${part.r}`)
            if (i) assert.ok(part.x >= parts[i - 1].r - 1e-9, `${norm_place} ${parallel} ${W} ${n}`)
          }
          assert.ok(at.qkv.x > at.embed.x && at.mlp.x > at.qkv.x && at.next.x > at.blocks.x)
        }
})

test("what is not opened, or is not there, has its place in the order as well", () => {
  const shut = [{mixer: "opaque"}, {mlp: "opaque"}, {mixer: "opaque", mlp: "opaque"}, {mixer: null}, {mlp: null}, {whole: true}]
  for (const closed of shut)
    for (const norm_place of PLACES)
      for (const W of [1087, 1102, 1200, 1440, 2560]) {
        const {at} = desktop(page(6, W, {norm_place, ...closed}))
        const parts = Object.values(at).filter(({w}) => w > 0)
        for (const [i, part] of parts.entries()) {
          assert.ok(Number.isFinite(part.x) && part.r <= W + 1, `${JSON.stringify(closed)} ${norm_place} ${W}: ${part.r}`)
          if (i) assert.ok(part.x >= parts[i - 1].r - 1e-9, `${JSON.stringify(closed)} ${norm_place} ${W}`)
        }
        assert.equal(at.mat.w > 0, !closed.whole && closed.mixer === undefined)
      }
})

test("the pattern has room for each key, and for what stands before a window", () => {
  for (const n of [2, 10, 24]) {
    const L = desktop({...page(n, 1440), tokens: {ids: Array(n).fill(0), total: n + 100}})
    assert.equal(L.left, 2)
    assert.ok(colX(L, 0) - L.left * L.pitch * 1.7 >= L.at.mat.x && colX(L, n - 1) <= L.at.mat.r)
    assert.ok(laneY(L, n - 1) <= L.bottom + 1e-9 && L.boxBottom < L.H)
  }
})

test("between two layouts only numbers move, and the ends are the layouts", () => {
  const [a, b] = [desktop(page(5, 1300)), desktop(page(8, 1900))]
  assert.equal(between(a, b, 1), b)
  assert.equal(between(null, b, 0.3), b)
  const half = between(a, b, 0.5)
  assert.equal(half.n, 8)
  assert.ok(Math.abs(half.at.mlp.x - (a.at.mlp.x + b.at.mlp.x) / 2) < 1e-9)
})

test("heads that share keys stand together", () => {
  const app = page(5, 1440)
  const L = desktop(app)
  const gaps = Array.from({length: 11}, (_, h) => thumbAt(L, app.block, h + 1).x - thumbAt(L, app.block, h).x)
  assert.deepEqual(
    gaps.map((gap) => gap > gaps[0] + 1),
    [false, false, true, false, false, true, false, false, true, false, false],
  )
})
