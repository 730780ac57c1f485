// What scrolls the page: the nearest element around one that can, through shadow roots; else the document.
export function scroller(el) {
  for (let at = el; at; at = at.assignedSlot ?? at.parentElement ?? at.getRootNode().host) {
    const style = getComputedStyle(at)
    if (at.scrollHeight > at.clientHeight + 4 && /auto|scroll/.test(style.overflowY) && at !== document.body) return at
  }
  return document.scrollingElement
}

const LONGEST = 2000 // milliseconds after which every smooth scroll has come to its end

/** Call after a smooth scroll was begun. It ends where somebody presses a button: what moves away between press and release gets no click. */
export function endsAtPress(el) {
  const box = scroller(el)
  const end = () => box.scrollTo({top: box.scrollTop, behavior: "instant"})
  addEventListener("pointerdown", end, {capture: true, once: true})
  setTimeout(() => removeEventListener("pointerdown", end, {capture: true}), LONGEST)
}
