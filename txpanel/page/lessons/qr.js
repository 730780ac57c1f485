// A QR code as one path, from rows of 0 and 1 that the server sends.
import {s} from "../../toolkit/elements.js"

const QUIET = 4 // modules of white around it, as the standard asks

/** The squares as a path; each row's neighbours are one rectangle. */
export function squares(rows) {
  const parts = []
  rows.forEach((row, y) => {
    for (const run of row.matchAll(/1+/g)) parts.push(`M${run.index + QUIET} ${y + QUIET}h${run[0].length}v1h-${run[0].length}z`)
  })
  return parts.join("")
}

/** Dark on white in light and dark: many scanners read no other. */
export function picture(rows, label) {
  const size = rows.length + 2 * QUIET
  return s(
    "svg",
    {viewBox: `0 0 ${size} ${size}`, class: "qr", role: "img", "aria-label": label, "shape-rendering": "crispEdges"},
    s("rect", {width: size, height: size, fill: "#fff"}),
    s("path", {d: squares(rows), fill: "#000"}),
  )
}
