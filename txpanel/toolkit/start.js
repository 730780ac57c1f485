// What happens once on a page, before anything of ours is drawn; and what the bundle (scripts/bundle) has besides the components.
import {fetchLate} from "../compat/late_resources.js"
import {layOutLocally} from "../compat/local_layout.js"
import {forgetNew} from "../compat/new_models.js"
import {paintInTurns, settled, waiting} from "../compat/paint_queue.js"
import {drawFirst, takenOver} from "./first_picture.js"
import {printWhole} from "./printing.js"
import {fence, isSaved, standAlone, unheard} from "./saved_page.js"
import {dressDocument} from "./theme.js"
import {tx} from "./tx.js"

dressDocument()
standAlone()
printWhole()
export let laysOutLocally = false
let bokehIsReady = false
// Our changes of Bokeh: at once, or when Bokeh has loaded after a first picture.
function prepareBokeh() {
  if (bokehIsReady || !globalThis.Bokeh) return
  bokehIsReady = true
  laysOutLocally = layOutLocally()
  paintInTurns()
  fetchLate()
}
prepareBokeh()

// A component for Panel, made of a module's render function.
export const component = (key, draw) => ({
  draw,
  initialize: prepareBokeh,
  render: (given) => {
    prepareBokeh()
    forgetNew(given.view)
    if (given.model.language) given.el.lang = given.model.language
    if (takenOver(key, given)) return undefined
    if (!isSaved()) return draw(given)
    const made = draw({...given, model: unheard(given.model)})
    fence(given.el.getRootNode())
    return made
  },
})

// Where there is no server, a page carries the bundle once (txpanel/toolkit/component.py), and the components wait for it here, by its hash.
export const carried = {
  initialize: ({model}) => {
    globalThis.txpanel ??= {}
    globalThis.txpanel[model.bundle] ??= Promise.withResolvers()
    globalThis.txpanel[model.bundle].resolve({components, tx})
  },
}
const components = {}
export const declare = (all) => {
  Object.assign(components, all, {carried})
  try {
    drawFirst(all)
  } finally {
    globalThis.txDrawn?.() // the page's scripts may run now
  }
  return components
}

export {settled, tx, waiting}
