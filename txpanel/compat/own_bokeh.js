// Bokeh, where we may change how it works: a release that was tried, on a page of our own; in a notebook there are others' figures, too.
export const ownBokeh = () => {
  const bokeh = globalThis.Bokeh
  return bokeh?.require && bokeh.version.startsWith("3.9.") && !globalThis.PyViz ? bokeh : null
}
