// The parts of the flow that follow a slider while it is being moved, wherever on the page it is.
import {hand} from "../../decoding/hand.js"
import {NEAR, nextTokens} from "./next_list.js"
import {nextList} from "./overlay.js"

export class UnderHand {
  constructor(app) {
    this.app = app
    this.hand = hand(app.model.hand, {moved: () => this.moved()})
  }

  now() {
    const {next, odds, stages} = this.app.model
    return nextTokens(next, odds, this.hand.over(next.settings), stages)
  }

  heard() {
    this.hand.heard(this.app.model.next.settings)
    return this.now()
  }

  // The bars and their fan follow in this frame, and nothing else is drawn anew; the suggestion behind the prompt hears what falls now.
  moved() {
    const {app} = this
    if (!app.block || !app.L || !app.model.next?.ids) return
    const next = this.now()
    app.next = app.was.next = next
    app.root.classList.add("handled")
    nextList(app)
    app.motion.request()
    if (next.sampled >= 0) this.hand.say({text: next.strings[next.sampled], p: next.share[next.sampled]})
  }

  // Whether the settings change anything of the model's own probabilities.
  get settled() {
    const {next, model} = this.app
    return model.stages.some(({key, off}) => Math.abs(next.settings[key] - off) >= NEAR)
  }

  stop() {
    this.hand.stop()
  }
}
