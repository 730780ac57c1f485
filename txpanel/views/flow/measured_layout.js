// The layout for the width that there is, with the sampling settings under the bars that they change. The top bar puts them there (its event is
// answered at once), so their height can be measured before anything is drawn, and nothing moves afterwards.
import {say} from "../../toolkit/page_events.js"
import {clamp} from "./core.js"
import {desktop, handlesIn} from "./layout.js"
import {phone} from "./phone_layout.js"

const laid = (app) => desktop(app) ?? phone(app)

// Classes and variables that the style sheet needs: the kind of layout, the size of letters. Set first, since heights depend on them.
function dress(app) {
  for (const kind of ["phone", "compact"]) app.root.classList.toggle(kind, Boolean(app.L[kind]))
  app.k = clamp(app.W / 1500, 1, 1.25)
  app.root.style.setProperty("--k", app.k.toFixed(3))
}

export function measureLayout(app) {
  app.L = laid(app)
  dress(app)
  const {handles, settings, stage} = app.dom
  if (settings.firstChild) return
  say(app.root, "settings", settings)
  if (!settings.firstChild) return
  stage.hidden = false
  handles.style.width = `${app.L.at.next.w - handlesIn(app.L)}px`
  app.handlesH = handles.offsetHeight
  app.L = laid(app)
}
