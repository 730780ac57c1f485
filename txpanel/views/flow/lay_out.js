// The layout for the width that there is, with the settings of sampling under the bars that they move: whoever has them puts them there, and how high
// they stand is known before anything is drawn, so that nothing moves afterwards.
import {say} from "../../toolkit/said.js"
import {desktop} from "./layout.js"
import {phone} from "./phone_layout.js"

const laid = (app) => desktop(app) ?? phone(app)

export function layOut(app) {
  app.L = laid(app)
  const {handles, settings, stage} = app.dom
  if (settings.firstChild) return
  say(app.root, "settings", settings)
  if (!settings.firstChild) return
  stage.hidden = false
  handles.style.width = `${app.L.at.next.w}px`
  app.handlesH = handles.offsetHeight
  app.L = laid(app)
}
