// In a notebook: whether the kernel answers. The bar asks, since it is on every dashboard; the Python side acknowledges each message.
import {inNotebook, watchKernel} from "../../toolkit/asleep.js"
import {say, top} from "../../toolkit/page_events.js"

// changed(): called when the kernel stops answering, and when it answers again. Returns {asleep, stop}.
export function kernelOf(model, view, el, changed) {
  let asleep = false
  let kernel = null
  let over = false
  const sleeps = (on) => {
    asleep = on
    say(el, "asleep", on)
    changed()
  }
  const ask = (asked) => model.send_msg({kind: "awake", asked})
  const begin = () => {
    if (over) return
    if (el.isConnected) kernel = watchKernel(top(view).el, {needs: model.words.needs}, ask, sleeps)
    else setTimeout(begin, 100)
  }
  if (inNotebook()) begin()
  model.on("heard", () => kernel?.heard(model.heard))
  return {
    asleep: () => asleep,
    stop: () => {
      over = true
      kernel?.stop()
    },
  }
}
