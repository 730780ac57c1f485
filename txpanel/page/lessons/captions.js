// What a lesson says of a part, in one line at the lower edge of the screen while ▶ Play comes to it; not while a lesson is open, which says it itself.
import {h} from "../../toolkit/elements.js"
import {hear} from "../../toolkit/page_events.js"
import {places} from "../../toolkit/page_parts.js"
import {intoSight} from "./sight.js"
import {runs} from "./task.js"

const LAST = 9000 // ms for which the last sentence stays when ▶ Play is over

/** busy(): whether a lesson is open. Returns the line, a function that draws it, and one that ends it. */
export function captions({model, view, send, busy}) {
  const line = h("p", {class: "caption", role: "status", hidden: true})
  let part = null
  let brought = null
  let over = 0
  const draw = () => {
    const said = part === null || busy() ? null : model.captions[part]
    line.hidden = !said
    if (!said) return
    line.replaceChildren(...runs(said))
    if (brought === part) return
    brought = part
    intoSight(view.el, places(view, part), line.offsetHeight + 24) // on a phone the parts are one below the other
  }
  const stop = hear("playing", view, (name, event) => {
    clearTimeout(over)
    if (busy() || !model.lessons.length) return
    event.preventDefault()
    if (name === null) {
      over = setTimeout(() => {
        part = null
        draw()
      }, LAST)
      return
    }
    if (part === null || name === "embedding") send("captions") // asks for the sentences with the values of this run
    part = name
    brought = null
    draw()
  })
  model.on("captions", draw)
  const end = () => {
    clearTimeout(over)
    stop()
  }
  return {line, draw, stop: end}
}
