// The button for light or dark: it changes to the other of the two.
import {isSaved, otherTheme} from "../../toolkit/saved_page.js"

/** What the button does. The click also tells the server what the system prefers, since the browser reports a change of that a frame too late. */
export const turnTheme = (send) => () => {
  if (isSaved()) otherTheme()
  else send("theme", {system: matchMedia("(prefers-color-scheme:dark)").matches})
}
