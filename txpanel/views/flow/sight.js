// Whether the picture is on screen. While it is not, block, head and token are offered elsewhere on the page, and it is drawn now and then only (motion.js).
import {say} from "../../toolkit/said.js"

/** Sets `app.away`; gives back what ends the watching. */
export function watchSight(app) {
  const behindBar = {rootMargin: "-72px 0px 0px 0px"}
  const chosenHere = new IntersectionObserver(([one]) => say(app.root, "sight", one.isIntersecting), behindBar)
  chosenHere.observe(app.root)
  const drawn = new IntersectionObserver(([one]) => {
    app.away = !one.isIntersecting
    if (!app.away) app.motion.request()
  })
  drawn.observe(app.dom.stage)
  return () => {
    chosenHere.disconnect()
    drawn.disconnect()
  }
}
