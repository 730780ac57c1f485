// What a figure's style sheets say about its labels is asked once while it is measured and painted, not for each label.
//
// Versions: Bokeh 3.9; 3.10 remembers by itself, and is left as it is.
// Reason: a figure is painted in less time; the row "without css_once" of python -m benchmarks.replacements.
// Upstream: bokeh/bokeh, bokehjs/src/lib/core/visuals/visual.ts, VisualProperties._get_css_value: mended in 3.10.
// Test: tests/compat/test_bokeh_js.py::test_the_oldest_bokeh_still_asks_for_each_label
import {bokehClasses} from "./own_bokeh.js"

const STEPS = ["repaint", "paint", "compute_layout"]

export function askCssOnce() {
  const bokeh = bokehClasses("css_once", {
    "models/plots/plot_canvas": {PlotView: STEPS},
    "core/visuals/visual": {VisualProperties: ["_get_css_value"]},
  })
  if (!bokeh) return
  const {PlotView, VisualProperties} = bokeh
  const ask = VisualProperties.prototype._get_css_value
  if (String(ask).includes("_css_cache")) return
  let said = null
  VisualProperties.prototype._get_css_value = function (name) {
    if (!said) return ask.call(this, name)
    const of = said.get(this.obj.el) ?? said.set(this.obj.el, {}).get(this.obj.el)
    of[this.css_prefix + name] ??= ask.call(this, name)
    return of[this.css_prefix + name]
  }
  for (const step of STEPS) {
    const own = PlotView.prototype[step]
    PlotView.prototype[step] = function (...given) {
      if (said) return own.apply(this, given)
      said = new Map()
      try {
        return own.apply(this, given)
      } finally {
        said = null
      }
    }
  }
}
