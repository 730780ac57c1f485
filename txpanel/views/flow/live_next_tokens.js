// The parts of the flow that follow a slider while it is dragged, wherever on the page the slider is.
import {liveSettings} from "../../decoding/live_settings.js"
import {NEAR, nextTokens} from "./next_list.js"
import {nextList} from "./overlay.js"

export class LiveNextTokens {
  constructor(app) {
    this.app = app
    this.live = liveSettings(app.model.settings_key, {moved: () => this.moved()})
  }

  now() {
    const {next, odds, stages} = this.app.model
    return nextTokens(next, odds, this.live.over(next.settings), stages)
  }

  heard() {
    this.live.heard(this.app.model.next.settings)
    return this.now()
  }

  // In this frame only the bars and their fan are drawn again; the suggestion after the prompt gets the token that would be drawn now.
  moved() {
    const {app} = this
    if (!app.block || !app.L || !app.model.next?.ids) return
    const next = this.now()
    app.next = app.was.next = next
    app.root.classList.add("dragged")
    nextList(app)
    app.motion.request()
    if (next.sampled >= 0) this.live.say({text: next.strings[next.sampled], p: next.share[next.sampled]})
  }

  // Whether the settings differ from those that leave the model's probabilities as they are.
  get settled() {
    const {next, model} = this.app
    return model.stages.some(({key, off}) => Math.abs(next.settings[key] - off) >= NEAR)
  }

  stop() {
    this.live.stop()
  }
}
