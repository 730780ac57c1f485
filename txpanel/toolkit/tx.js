// What a component of another package may use, as `tx`: docs/plugins.md.

import {index, lut, paint, rampColour} from "./colours.js"
import {alone, blanks, download, h, released, s} from "./elements.js"
import {grouped, number, percent} from "./numbers.js"
import {colour, isDark, onTheme, reducedMotion} from "./theme.js"

export const tx = {
  h,
  s,
  blanks,
  alone,
  number,
  percent,
  grouped,
  lut,
  index,
  rampColour,
  isDark,
  colour,
  onTheme,
  reducedMotion,
  released,
  paint,
  download,
}
