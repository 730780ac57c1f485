// The elements of the flow, made once.
import {h} from "../../toolkit/elements.js"
import {whyDrawnIn} from "./why_drawn.js"

export function build(T, app) {
  const group = (cls, label, more) => h("div", {class: cls, role: "group", "aria-label": label, ...more})
  const here = {"data-alone": true} // works on a saved page, too
  const opens = {"data-alone": "saved"} // so does a button that opens a view which the saved page contains
  const button = (cls, text, label) => h("button", {class: cls, type: "button", "aria-label": label}, text)
  const dom = {
    canvas: h("canvas", {class: "picture", role: "img", "aria-label": T.picture}),
    heads: group("headings", T.parts, opens),
    pager: h(
      "div",
      {class: "pager", role: "group", "aria-label": T.block_pager},
      button(null, "‹", T.previous_block),
      h("span"),
      button(null, "›", T.next_block),
    ),
    tokens: group("tokens", T.tokens),
    captions: group("captions", T.steps, opens),
    headTitle: h("div", {class: "headtitle"}, h("b", null, T.heads), h("span"), h("em")),
    headRow: group("headrow", T.heads),
    allHeads: h("button", {class: "quiet all", type: "button", "aria-expanded": "false"}),
    next: group("nextlist", T.next),
    settings: h("div"),
    whyDrawn: whyDrawnIn(app, T),
    nextKey: h("div", {class: "nextkey"}, h("span", null, h("u"), h("em")), h("span", null, h("s"), h("em"))),
    closed: group("closed", T.closed_parts),
    instead: h("div", {class: "instead", hidden: true}, h("span"), h("button", {class: "quiet", type: "button"})),
    grid: h("div", {class: "spot", tabindex: 0, role: "group", "aria-label": T.pattern_keys}),
    chart: h("div", {class: "spot", tabindex: 0, role: "group", "aria-label": T.chart_keys}),
    range: h("input", {type: "range", min: 0, step: 1, "aria-label": T.window_label}),
    windowText: h("span"),
    play: h(
      "div",
      {class: "play", role: "group", "aria-label": T.play_label, ...here},
      h("button", {class: "quiet", type: "button"}),
      h("button", {class: "quiet", type: "button", hidden: true}, T.play_step),
      h("button", {class: "quiet", type: "button", hidden: true}, T.skip),
    ),
    live: h("div", {class: "live", "aria-live": "polite"}),
    tip: h("div", {class: "tip", hidden: true, role: "tooltip"}, h("b"), h("span"), h("code")),
    empty: h("p", {class: "empty"}, T.empty),
    inexact: h("p", {class: "inexact", hidden: true}, T.inexact),
  }
  dom.handles = h("div", {class: "handles"}, dom.settings, dom.whyDrawn)
  dom.windowBar = h("label", {class: "windowbar", hidden: true}, dom.windowText, dom.range)
  dom.stage = h(
    "div",
    {class: "stage unplaced"},
    dom.canvas,
    dom.grid,
    dom.chart,
    dom.heads,
    dom.pager,
    dom.windowBar,
    dom.tokens,
    dom.captions,
    dom.headTitle,
    dom.headRow,
    dom.allHeads,
    dom.closed,
    dom.instead,
    dom.next,
    dom.nextKey,
    dom.handles,
    dom.play,
  )
  dom.legend = h("div", {class: "legend", role: "group", "aria-label": T.legend, ...here})
  dom.signs = h("section", {class: "allsigns", "aria-label": T.all_signs, hidden: true, ...here})
  return dom
}
