// What happens once on a page, before anything of ours is drawn; and what the bundle (scripts/bundle) has besides the components.
import {askCssOnce} from "../compat/css_once.js"
import {fetchLate} from "../compat/late_resources.js"
import {layOutLocally} from "../compat/local_layout.js"
import {forgetNew} from "../compat/new_models.js"
import {paintInTurns, settled, waiting} from "../compat/paint_queue.js"
import {dressDocument} from "./theme.js"
import {tx} from "./tx.js"

dressDocument()
export const laysOutLocally = layOutLocally()
paintInTurns()
askCssOnce()
fetchLate()

// A component for Panel, made of a module's render function.
export const component = (render) => ({
  render: (given) => {
    forgetNew(given.view)
    return render(given)
  },
})

// Where nobody can be asked for files, a page carries the bundle once (txpanel/toolkit/component.py), and the components wait for it here, by its hash.
export const carried = {
  initialize: ({model}) => {
    globalThis.txpanel ??= {}
    globalThis.txpanel[model.bundle] ??= Promise.withResolvers()
    globalThis.txpanel[model.bundle].resolve({components, tx})
  },
}
const components = {}
export const declare = (all) => Object.assign(components, all, {carried})

export {settled, tx, waiting}
