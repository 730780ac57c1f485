// A text into the clipboard; root: where a text field may be put for a moment.
import {h} from "../../toolkit/elements.js"

export async function toClipboard(text, root) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const area = h("textarea") // no clipboard permission, or plain http
    area.value = text
    root.append(area)
    area.select()
    document.execCommand("copy")
    area.remove()
  }
}
