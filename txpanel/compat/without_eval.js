// Figures' own JavaScript (toolkit/figure_code.py) without evaluating texts: the page has its functions, and a text's first line says which one it is.
//
// Versions: Bokeh 3.9 to 3.10.
// Reason: Bokeh makes functions of texts, for which a Content-Security-Policy would have to allow 'unsafe-eval', to everybody's texts.
// Upstream: bokeh/bokeh, bokehjs/src/lib/models/callbacks/customjs.ts, customjs_hover.ts, customjs_tick_formatter.ts: no way to give a function.
// Test: tests/compat/test_bokeh_js.py::test_bokeh_still_makes_functions_of_texts
export function withoutEval(functions) {
  const bokeh = globalThis.Bokeh
  const known = (model) => functions[/^\/\/ tx:([\w-]+)\n/.exec(model.code)?.[1]]
  const entries = (args) => (args instanceof Map ? [...args] : Object.entries(args))
  const given = (model) => Object.fromEntries(entries(model.args))
  const replace = (module, name, method, make) => {
    const its = bokeh?.require?.(module)?.[name]?.prototype
    if (!its || !(method in its)) {
      console.info(`without_eval: left as it is, Bokeh ${bokeh?.version} does not have ${name}.${method}`)
      return
    }
    const own = its[method]
    its[method] = function (...rest) {
      const run = known(this)
      return run ? make(this, run) : own.apply(this, rest)
    }
  }
  // Bokeh calls each with the values of its args as well, here they have names
  replace(
    "models/callbacks/customjs",
    "CustomJS",
    "_compile_function",
    async (model, run) =>
      (...values) =>
        run(given(model), ...values),
  )
  replace("models/tools/inspectors/customjs_hover", "CustomJSHover", "_make_code", (model, run) => {
    const count = entries(model.args).length
    return (...values) => run(given(model), ...values.slice(count))
  })
  replace(
    "models/formatters/customjs_tick_formatter",
    "CustomJSTickFormatter",
    "_make_func",
    (model, run) =>
      (...values) =>
        run(given(model), ...values.slice(0, 3)),
  )
}
