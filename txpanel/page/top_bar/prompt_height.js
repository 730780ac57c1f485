// The prompt's height: two lines to three; what is longer scrolls inside. Another suggestion behind the text moves nothing.
const MIRRORED = 4000 // characters; longer prompts are not repeated to place the next token behind them
const [LEAST, ROOM] = [64, 88] // pixels: two lines, so that tokens that come have room, and three

/** box: the textarea; mirror: what lies behind it, with the text in `hidden` and the suggestion `ghost`. */
export function promptHeight({box, mirror, hidden, ghost, field}) {
  let reserved = 0 // the height when writing began: while tokens come nothing below moves
  let begun = "" // the text that it was kept for, and for what grows out of it
  let laid = "" // what it was laid out for last: each look at a height makes the browser lay out the page
  const focused = () => box.getRootNode().activeElement === box
  // How high a text stands with room for a suggestion behind it, whichever that is.
  const heightOf = (text) => {
    hidden.textContent = text.length <= MIRRORED ? text : ""
    box.style.height = "0"
    return Math.max(box.scrollHeight, mirror.scrollHeight)
  }
  return {
    reserve() {
      begun = box.value
      reserved = box.offsetHeight
    },
    typed() {
      reserved = 0
    },
    widthChanged() {
      laid = ""
    },
    /** shut: that no suggestion is shown; suggestion: its text. */
    lay(shut, suggestion) {
      if (!box.value.startsWith(begun) && !begun.startsWith(box.value)) reserved = 0
      const now = JSON.stringify([box.value, suggestion, reserved, shut, focused()])
      if (now === laid) return
      laid = now
      ghost.hidden = shut
      const needed = heightOf(box.value)
      const text = box.scrollHeight
      const behind = needed > text // the suggestion would stand on a line of its own
      const tall = reserved || Math.max(LEAST, Math.min(needed, ROOM)) // what was kept holds until somebody types
      if (box.value.length > MIRRORED || (needed > tall && behind)) ghost.hidden = true
      box.style.height = `${tall}px`
      if (!focused()) box.scrollTop = box.scrollHeight
      field.classList.toggle("over", !focused() && box.scrollHeight > tall)
      mirror.scrollTop = box.scrollTop
    },
  }
}
