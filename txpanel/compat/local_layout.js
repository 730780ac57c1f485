// What changes on a part of the page is laid out there. By itself Bokeh measures, lays out and paints every figure of the whole page whenever
// any element changes its size, is shown, or gets a child: with thirty figures the page stands still for a second. Sizes on a page come from the
// browser's own layout; Bokeh's only divides the inside of a figure, and aligns figures that are direct children of one box. So a figure is laid
// out with those beside it, and boxes are left to the browser; each figure hears of its own size.
//
// Versions: Bokeh 3.9 to 3.10.
// Reason: speed of every change that shows or resizes something; the row "without local_layout" of python -m benchmarks.replacements.
// Upstream: bokeh/bokeh, bokehjs/src/lib/models/layouts/layout_dom.ts, LayoutDOMView.invalidate_layout: no layout of what did not change.
// Test: tests/compat/test_bokeh_js.py::test_bokeh_still_lays_out_the_whole_page
import {bokehClasses} from "./own_bokeh.js"

const REPLACED = ["compute_layout", "invalidate_layout", "update_layout", "_after_resize"]
const CALLED = ["measure_layout", "update_bbox", "_compute_layout", "after_layout", "update_style", "_update_layout", "layoutable_views"]

export function layOutLocally() {
  const bokeh = bokehClasses("local_layout", {
    "models/plots/plot_canvas": {PlotView: ["request_layout", "after_resize"]},
    "models/layouts/layout_dom": {LayoutDOMView: [...REPLACED, ...CALLED]},
  })
  if (!bokeh) return false
  const {PlotView, LayoutDOMView} = bokeh
  const box = LayoutDOMView.prototype
  const own = Object.fromEntries(REPLACED.map((name) => [name, box[name]]))
  const inside = (view) => view.parent instanceof LayoutDOMView // all but the page's own root
  const isFigure = (view) => view instanceof PlotView
  const styled = new WeakSet() // views that have their styles

  function settle(view) {
    view.measure_layout()
    view.update_bbox()
    view._compute_layout()
    view.after_layout()
  }
  // The style of a box and of its direct children; deeper ones are not touched.
  function style(view) {
    view.update_style()
    for (const child of view.child_views) child.parent_style.clear()
    view._update_layout()
  }
  box.compute_layout = function () {
    const place = isFigure(this) && inside(this) ? this.parent : this
    if (!inside(place)) return own.compute_layout.call(this)
    settle(place)
    this._layout_computed = true
  }
  // A figure that has been seen is divided anew when it is painted; one that is hidden keeps its picture until it is shown again.
  const seen = (view) => isFigure(view) && inside(view) && view._render_count > 0 && !view.is_paused
  box._after_resize = function () {
    if (seen(this)) {
      if (this.is_displayed) this.request_layout(true)
    } else if (isFigure(this) || !inside(this)) own._after_resize.call(this)
  }
  // When a figure is shown again, its surroundings may measure it first. Bokeh then sees no change of size, and the canvas would stay as small as it
  // was made while hidden.
  const plain = PlotView.prototype.after_resize
  PlotView.prototype.after_resize = function () {
    plain.call(this)
    const [now, canvas] = [this.bbox, this.canvas_view?.bbox]
    if (!canvas || !seen(this) || !this.is_displayed) return
    if (Math.hypot(now.width - canvas.width, now.height - canvas.height) > 2) this.request_layout(true)
  }
  box.update_layout = function () {
    own.update_layout.call(this)
    styled.add(this)
  }
  box.invalidate_layout = function () {
    if (!inside(this) || !styled.has(this) || !styled.has(this.parent)) return own.invalidate_layout.call(this)
    const fresh = this.layoutable_views.filter((view) => !styled.has(view))
    for (const view of fresh) view.update_layout()
    style(this)
    style(this.parent)
    const figures = isFigure(this) ? [this] : this.layoutable_views.filter(isFigure)
    if (figures.every(seen)) for (const figure of figures) figure.request_layout(true)
    else this.compute_layout()
    for (const view of fresh) if (!isFigure(view)) settle(view)
  }
  return true
}
