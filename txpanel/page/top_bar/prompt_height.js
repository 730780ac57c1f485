// The prompt's height: two to three lines; a longer text scrolls inside. A longer suggestion after the text does not change the height.
const MIRRORED = 4000 // characters; after longer prompts no suggestion is shown, whose place is found with a copy of the text
const [LEAST, ROOM] = [64, 88] // pixels: two lines, so that generated tokens have room, and three

/** box: the textarea; mirror: an element behind it that repeats its text, in `hidden`, followed by the suggestion `ghost`. */
export function promptHeight({box, mirror, hidden, ghost, field}) {
  let reserved = 0 // the height when generation began: it stays, so that nothing below moves while tokens come
  let begun = "" // the text for which this height is kept, and for its continuations
  let laid = "" // what it was laid out for last; measuring a height is slow, since the browser lays out the page for it
  const focused = () => box.getRootNode().activeElement === box
  // The height of a text with room for a suggestion of any length after it.
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
    /** shut: whether no suggestion is shown; suggestion: its text. */
    lay(shut, suggestion) {
      if (!box.value.startsWith(begun) && !begun.startsWith(box.value)) reserved = 0
      const now = JSON.stringify([box.value, suggestion, reserved, shut, focused()])
      if (now === laid) return
      laid = now
      ghost.hidden = shut
      const needed = heightOf(box.value)
      const text = box.scrollHeight
      const behind = needed > text // the suggestion would need a line of its own
      const tall = reserved || Math.max(LEAST, Math.min(needed, ROOM)) // a reserved height holds until the text is edited
      if (box.value.length > MIRRORED || (needed > tall && behind)) ghost.hidden = true
      box.style.height = `${tall}px`
      if (!focused()) box.scrollTop = box.scrollHeight
      field.classList.toggle("over", !focused() && box.scrollHeight > tall)
      mirror.scrollTop = box.scrollTop
    },
  }
}
