import assert from "node:assert/strict"
import {test} from "node:test"
import {places, target} from "../../txpanel/toolkit/walk.js"

const GRID = {rows: 20, columns: 30}
const LIST = {rows: 1, columns: 50, list: true}

test("arrows, pages, Home and End in a grid", () => {
  assert.deepEqual(target("ArrowRight", [3, 4], GRID), [3, 5])
  assert.deepEqual(target("ArrowUp", [0, 4], GRID), [0, 4])
  assert.deepEqual(target("PageDown", [3, 4], GRID), [5, 4])
  assert.deepEqual(target("End", [3, 4], GRID), [3, 29])
  assert.deepEqual(target("End", [3, 4], GRID, true), [19, 29])
  assert.deepEqual(target("Home", [3, 4], GRID, true), [0, 0])
  assert.equal(target("x", [3, 4], GRID), null)
})

test("in a list every direction is along it, and it has ends", () => {
  assert.deepEqual(target("ArrowDown", [0, 4], LIST), [0, 5])
  assert.deepEqual(target("ArrowLeft", [0, 0], LIST), [0, 0])
  assert.deepEqual(target("PageDown", [0, 48], LIST), [0, 49])
})

const hover = (renderers, more = {}) => ({model: {toolbar: {tools: [{type: "HoverTool", renderers, ...more}]}}})
const format = (text) => ({format: (value) => `${text}${value}`})

test("the cells of an image are named by its hover tool", () => {
  const data = {image: [[10, 11, 12, 13, 14, 15]], x: [-0.5], y: [-0.5], dw: [3], dh: [2]}
  const formatters = {$x: format("x"), "@image": format("="), $y: format("y")}
  const all = places(hover([{glyph: {type: "Image"}, data_source: {data}}], {formatters}))
  assert.deepEqual([all.rows, all.columns], [2, 3])
  assert.deepEqual(all.say(1, 2), ["x2", "=15", "y1"])
  assert.deepEqual(all.box(1, 2), [1.5, 2.5, 0.5, 1.5])
})

test("bars are walked one after the other, without those that are hidden or have no place", () => {
  const bar = {
    glyph: {type: "Quad"},
    visible: true,
    data_source: {
      data: {left: [0, 1, NaN], right: [1, 2, 3], bottom: [0, 0, 0], top: [4, 5, 6], what: ["a", "b", "c"]},
      get_length: () => 3,
    },
  }
  const all = places(hover([bar, {...bar, visible: false}], {tooltips: [["", "@what"]], formatters: {}}))
  assert.equal(all.columns, 2)
  assert.deepEqual(all.say(0, 1), ["b"])
  assert.deepEqual(all.at(0, 1), [1.5, 2.5])
  assert.equal(places({model: {toolbar: {tools: []}}}), null)
})
