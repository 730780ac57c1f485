// Light or dark: the other one than what is seen when the button is pressed.
import {isSaved, otherTheme} from "../../toolkit/saved_page.js"

/** What the button does. The server hears what the system prefers with the click: the browser reports a change of it a frame later. */
export const turnTheme = (send) => () => {
  if (isSaved()) otherTheme()
  else send("theme", {system: matchMedia("(prefers-color-scheme:dark)").matches})
}
