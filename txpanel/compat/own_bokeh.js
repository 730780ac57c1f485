// Classes of Bokeh that a workaround may change: those of a page of our own (in a notebook there are others' figures, too) that still have all
// methods it replaces or calls. Else nothing is changed, and the console says so.
export function bokehClasses(who, wanted) {
  const bokeh = globalThis.Bokeh
  if (!bokeh?.require || globalThis.PyViz) return null
  const found = {}
  for (const [module, classes] of Object.entries(wanted)) {
    for (const [name, methods] of Object.entries(classes)) {
      found[name] = bokeh.require(module)?.[name]
      const missing = found[name] ? methods.filter((method) => !(method in found[name].prototype)) : [name]
      if (missing.length) {
        console.info(`${who}: left as it is, Bokeh ${bokeh.version} does not have ${missing.join(", ")}`)
        return null
      }
    }
  }
  return found
}
