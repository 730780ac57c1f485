// Whether the picture is on screen. While it is not, block, head and token can be chosen elsewhere on the page, and it is only drawn now and then (motion.js).
import {say} from "../../toolkit/page_events.js"

/** Keeps `app.away` up to date. Returns a function that stops it. */
export function watchSight(app) {
  const behindBar = {rootMargin: "-72px 0px 0px 0px"}
  const chosenHere = new IntersectionObserver(([one]) => say(app.root, "sight", one.isIntersecting), behindBar)
  chosenHere.observe(app.root)
  const near = {rootMargin: "100px 0px"} // drawn again shortly before it comes into sight
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
