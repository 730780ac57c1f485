// How wide words stand on the canvas, measured once: giving the pen a font makes the browser work out the styles of the page and lay it out.
const widths = new Map() // font -> words -> width

/** Measures anew once the page's fonts have loaded. They may begin and end loading between two drawings: their event says it, not their status. */
document.fonts?.addEventListener("loadingdone", () => widths.clear())

/** While fonts are loading nothing is kept. Called once for each drawing. */
export function freshWidths() {
  if (document.fonts?.status === "loading") widths.clear()
}

/** Pixels. font: as CSS writes it, without the family. */
export function widthOf(app, text, font) {
  if (!widths.has(font)) widths.set(font, new Map())
  const known = widths.get(font)
  let width = known.get(text)
  if (width === undefined) {
    if (known.size > 5000) known.clear() // a long session's texts
    app.ctx.font = `${font} ${app.font}`
    width = app.ctx.measureText(text).width
    known.set(text, width)
  }
  return width
}
