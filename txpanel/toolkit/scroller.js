// What scrolls the page: the nearest element around one that can, through shadow roots; else the document.
export function scroller(el) {
  for (let at = el; at; at = at.assignedSlot ?? at.parentElement ?? at.getRootNode().host) {
    const style = getComputedStyle(at)
    if (at.scrollHeight > at.clientHeight + 4 && /auto|scroll/.test(style.overflowY) && at !== document.body) return at
  }
  return document.scrollingElement
}
