// Light and dark. Page, notebook or system may decide it; here it is read from `color-scheme`, which follows them all.
import {h} from "./elements.js"
import {CSS} from "./palette.js"

const TIP_CSS = `.bk-Tooltip{background-color:var(--tx-surface);color:var(--tx-text);border:1px solid var(--tx-border);border-radius:10px;padding:7px 10px;
  font:13px/1.45 Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;opacity:1;box-shadow:0 6px 24px rgb(15 23 42/.22);
  --tooltip-arrow-color:var(--tx-border);--tooltip-arrow-inner-color:var(--tx-surface)}`

// Bokeh's tooltips are children of the body; the colour of their labels is inside them, and too pale to read.
function dressTips() {
  const dress = (tip) => {
    if (!tip.matches?.(".bk-Tooltip") || tip.shadowRoot.querySelector(".tx")) return
    tip.shadowRoot.append(h("style", {class: "tx"}, ".bk-tooltip-row-label{color:var(--tx-muted)!important}"))
  }
  new MutationObserver((list) => list.forEach((change) => change.addedNodes.forEach(dress))).observe(document.body, {childList: true})
}

// One style sheet per document: custom properties reach into every shadow root, and light-dark() is decided where it is used.
export function dressDocument() {
  if (document.getElementById("tx-variables")) return
  document.head.append(h("style", {id: "tx-variables"}, CSS + TIP_CSS))
  dressTips()
}

const resolved = (el, value) => {
  const probe = h("i")
  probe.style.cssText = `position:absolute;visibility:hidden;color:${value}`
  const host = el.shadowRoot ?? el
  host.append(probe)
  const answer = getComputedStyle(probe).color
  probe.remove()
  return answer
}
export const isDark = (el) => resolved(el, "light-dark(rgb(0,0,0),rgb(255,255,255))") === "rgb(255, 255, 255)"
export const colour = (el, meaning) => resolved(el, `var(--tx-${meaning})`) // for canvas; in CSS use var(--tx-...) itself

// Calls back with true or false whenever light becomes dark or back. A colour transition on a probe reports every cause.
export function onTheme(el, callback) {
  const probe = h("i", {"aria-hidden": "true"})
  probe.style.cssText =
    "position:absolute;width:1px;height:1px;opacity:0;pointer-events:none;transition:color 1ms!important;color:light-dark(#000001,#fffffe)"
  ;(el.shadowRoot ?? el).append(probe)
  probe.addEventListener("transitionend", () => callback(isDark(el)))
  return () => probe.remove()
}

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches
