// Bokeh counts models that came from the server as new ones, and its first message would send all of them back.
//
// Versions: Bokeh 3.9 to 3.10.
// Reason: up to a megabyte that a page would send to the server when it is opened.
// Upstream: bokeh/bokeh, bokehjs/src/lib/document/document.ts, Document._new_models: not what was read from a patch of the server.
// Test: tests/compat/test_bokeh_js.py::test_bokeh_still_takes_for_new_what_the_server_sent
export const forgetNew = (view) => {
  view?.model?.document?._new_models?.delete(view.model)
}
