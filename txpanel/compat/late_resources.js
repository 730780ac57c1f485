// Scripts and style sheets that the page left out (page_resources.py), by the model whose pictures need them: they are fetched when there is one.
//
// Versions: Bokeh 3.9 to 3.10.
// Reason: a page does not fetch scripts of models that it never shows; see page_resources.py.
// Upstream: holoviz/panel, panel/io/resources.py: the scripts of a model with its first view.
// Test: tests/compat/test_page_resources.py::test_the_scripts_of_models_that_are_not_there_are_left_out
const loaded = new Map()

function load(address) {
  if (!loaded.has(address))
    loaded.set(
      address,
      new Promise((done, failed) => {
        const node = /\.css(\?|$)/.test(address)
          ? Object.assign(document.createElement("link"), {rel: "stylesheet", href: address})
          : Object.assign(document.createElement("script"), {src: address})
        node.addEventListener("load", done)
        node.addEventListener("error", () => failed(new Error(`${address} could not be loaded`)))
        document.head.append(node)
      }),
    )
  return loaded.get(address)
}

const needs = {Canvas: (model) => model.output_backend === "webgl"}

export function fetchLate() {
  const list = document.getElementById("tx-late")
  for (const [name, addresses] of Object.entries(list ? JSON.parse(list.textContent) : {})) {
    const view = globalThis.Bokeh?.Models?.get(name)?.prototype.default_view?.prototype
    if (!view) continue
    const own = view.lazy_initialize
    view.lazy_initialize = async function () {
      if (!needs[name] || needs[name](this.model)) for (const address of addresses) await load(address) // in their order
      return own.call(this)
    }
  }
}
