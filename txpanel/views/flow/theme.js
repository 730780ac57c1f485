// Colours come from the page's CSS variables (--tx-*), resolved by the browser, so light and dark need no code of their own.
import {lut} from "../../toolkit/colours.js"
import {h} from "../../toolkit/elements.js"

const MEANINGS = [
  "query",
  "query-ink",
  "key",
  "key-ink",
  "value",
  "value-ink",
  "mlp",
  "mlp-ink",
  "focus",
  "focus-ink",
  "focus-soft",
  "focus-mid",
  "on-focus",
  "lane",
  "closed",
  "background",
  "surface",
  "raised",
  "sunken",
  "border",
  "control",
  "text",
  "soft",
  "muted",
]

export function rgb(text) {
  const space = text.match(/^color\(\S+ /)?.[0] ?? "" // color-mix() is resolved to color(srgb 0.1 0.2 0.3 / 0.4)
  const found = text
    .slice(space.length)
    .match(/[\d.e-]+/g)
    .map(Number)
    .slice(0, 3)
  return space ? found.map((c) => c * 255) : found
}

const mixed = (a, b, t) => a.map((x, i) => x + (b[i] - x) * t)
const css = (c, alpha = 1) => `rgba(${c.map(Math.round).join(",")},${alpha})`

export class Theme {
  constructor(host) {
    this.host = host
    this.version = 0
    this.probe = h("i", {class: "probe", "aria-hidden": "true"})
    host.append(this.probe)
  }

  // Re-read everything; the caches of coloured strips are keyed by `version`.
  read() {
    this.version += 1
    this.rgb = {}
    const style = getComputedStyle(this.probe)
    for (const name of MEANINGS) {
      this.probe.style.backgroundColor = `var(--tx-${name})`
      this.rgb[name] = rgb(style.backgroundColor)
    }
    this.dark = this.rgb.surface[0] < 128
    this.probability = lut("probability", this.dark)
    this.signed = lut("signed", this.dark)
    this.tables = {}
  }

  of(name, alpha = 1) {
    return css(this.rgb[name], alpha)
  }

  blend(a, b, t, alpha = 1) {
    return css(mixed(this.rgb[a], this.rgb[b], t), alpha)
  }

  // Weight 0..1 on the probability ramp; the square root of the weight is even to the eye where most weights are small.
  weightColour(p, alpha = 1) {
    const i = Math.round(Math.sqrt(Math.max(0, Math.min(1, p))) * 255) * 3
    return `rgba(${this.probability[i]},${this.probability[i + 1]},${this.probability[i + 2]},${alpha})`
  }

  weightInk(p) {
    const i = Math.round(Math.sqrt(p) * 255) * 3
    const [r, g, b] = [0, 1, 2].map((c) => (this.probability[i + c] / 255) ** 2.2)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#05030c" : "#ffffff" // the better of the two: 4.5:1 at least
  }

  // 256 RGB steps for a strip: signed, or a meaning's own colour for what is positive and grey for what is negative.
  table(kind) {
    if (kind === "signed") return this.signed
    if (!this.tables[kind]) {
      const out = new Uint8Array(768)
      const ground = this.rgb.surface
      const grey = mixed(this.rgb.muted, this.rgb.lane, 0.35)
      for (let i = 0; i < 256; i++) {
        const x = (i - 127.5) / 127.5
        out.set(mixed(ground, x < 0 ? grey : this.rgb[kind], Math.abs(x) ** 0.85).map(Math.round), i * 3)
      }
      this.tables[kind] = out
    }
    return this.tables[kind]
  }
}
