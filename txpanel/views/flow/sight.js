// Whether the picture is on screen. While it is not, block, head and token are offered elsewhere on the page, and it is drawn now and then only (motion.js).
import {say} from "../../toolkit/said.js"

/** Sets `app.away`; gives back what ends the watching. */
export function watchSight(app) {
  const behindBar = {rootMargin: "-72px 0px 0px 0px"}
  const chosenHere = new IntersectionObserver(([one]) => say(app.root, "sight", one.isIntersecting), behindBar)
  chosenHere.observe(app.root)
  const near = {rootMargin: "100px 0px"} // drawn anew before it is seen
  const drawn = new IntersectionObserver((all) => {
    app.away = !all.at(-1).isIntersecting
    if (!app.away) app.motion.request()
  }, near)
  drawn.observe(app.root)
  return () => {
    chosenHere.disconnect()
    drawn.disconnect()
  }
}
