// Copies a text to the clipboard. root: where a text field may be added for a moment.
import {h} from "../../toolkit/elements.js"

export async function toClipboard(text, root) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const area = h("textarea") // no permission, or a page without https: copied the old way, from a text field
    area.value = text
    root.append(area)
    area.select()
    document.execCommand("copy")
    area.remove()
  }
}
