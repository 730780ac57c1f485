// Bokeh's figures take turns. By itself Bokeh paints every figure that changed in one frame, before anything else in that frame is seen:
// a click that changes sixteen pictures would show nothing for a fifth of a second. Here they wait until the frame that is due has been seen, then
// as many are painted at a time as fit between two frames, those on the screen first and one after the other; those far from it when there is nothing
// else to do. Between two turns the browser may handle input, or show a frame if it wants to.
//
// Versions: Bokeh 3.9 to 3.10.
// Reason: a click is seen at once; the row "without paint_queue" of python -m benchmarks.replacements.
// Upstream: bokeh/bokeh, bokehjs/src/lib/models/plots/plot_canvas.ts, PlotView.schedule_paint: a queue for all figures of a page.
// Test: tests/compat/test_bokeh_js.py::test_bokeh_still_paints_all_figures_in_one_frame
import {bokehClasses} from "./own_bokeh.js"
import {whenIdle} from "./when_idle.js"

const AT_A_TIME = 10 // milliseconds
const NEAR = "160px" // how far outside the screen a figure still counts as on it
const LATEST = 1500 // milliseconds until a figure off screen is painted, however busy the page is
let queue = null // null: Bokeh paints as it does by itself

export function paintInTurns() {
  queue ??= replaced()
}
// While tokens are generated, figures far from the screen wait.
export const hold = (on) => queue?.hold(on)
// Paints all of them now, for printing.
export const paintAll = () => queue?.all()
// How many figures have changed and are not painted yet.
export const waiting = () => queue?.waiting.size ?? 0
// Whether all on the screen is painted.
export const settled = () => queue?.settled() ?? true

function replaced() {
  const bokeh = bokehClasses("paint_queue", {
    "models/plots/plot_canvas": {PlotView: ["schedule_paint", "repaint", "is_paused", "is_destroyed"]},
  })
  if (!bokeh) return null
  const {PlotView} = bokeh

  const waiting = new Set()
  const near = new WeakMap()
  const nearby = (view) => near.get(view.el) !== false
  const watched = new IntersectionObserver(
    (entries) => {
      for (const {target, isIntersecting} of entries) near.set(target, isIntersecting)
      wake()
    },
    {rootMargin: NEAR},
  )

  let asked = false
  let idle = 0
  let held = false // while tokens are generated, figures far from the screen wait: their next data are under way already
  function wake(soon = false) {
    if (asked || !waiting.size) return
    if (![...waiting].some(nearby)) {
      if (!held && !idle) idle = whenIdle(rest, {timeout: LATEST})
      return
    }
    asked = true
    if (soon) setTimeout(turn)
    else requestAnimationFrame(() => setTimeout(turn)) // after the frame that is due, not in it
  }
  function paint(view) {
    waiting.delete(view)
    if (!view.is_destroyed) view.repaint()
  }
  function turn() {
    asked = false
    const end = performance.now() + AT_A_TIME
    for (const view of waiting) {
      if (!nearby(view)) continue
      paint(view)
      if (performance.now() > end) break
    }
    wake(true)
  }
  function rest(deadline) {
    idle = 0
    if (held) return
    for (const view of waiting) {
      paint(view)
      if (deadline.timeRemaining() < AT_A_TIME) break
    }
    wake()
  }
  PlotView.prototype.schedule_paint = function () {
    if (this.is_paused) return
    if (!near.has(this.el)) {
      near.set(this.el, true)
      watched.observe(this.el)
    }
    waiting.add(this)
    wake()
  }
  return {
    waiting,
    hold: (on) => {
      held = on
      wake()
    },
    settled: () => ![...waiting].some(nearby),
    all: () => {
      for (const view of waiting) paint(view)
    },
  }
}
