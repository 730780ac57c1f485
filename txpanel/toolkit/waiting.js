// A line of text in place of a part that is still being built. It tells Python when it comes into sight, and is hidden when the part is there.
import {h} from "./elements.js"
import {built} from "./printing.js"

const AHEAD = "0px 0px 160px 0px" // also built when it is only a few lines below the screen

export function render({model, view, el}) {
  const line = h("p", {role: "status"})
  el.append(line)
  const others = () => (view.parent?.child_views ?? []).filter((one) => one !== view && one.model.visible)
  const look = () => {
    if (model.gives_way && model.text && others().some((one) => one.el.offsetHeight > 40)) model.text = ""
    line.textContent = model.text
    line.hidden = !model.text
    if (model.gives_way && model.text) setTimeout(look, 80)
  }
  model.on("text", look)
  look()
  let told = false
  const build = () => {
    seen.disconnect()
    if (!told) model.send_msg({stands: true})
    told = true
  }
  const seen = new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && build(), {rootMargin: AHEAD})
  seen.observe(el)
  const over = built(line, build)
  model.on("remove", () => {
    over()
    seen.disconnect()
  })
}
