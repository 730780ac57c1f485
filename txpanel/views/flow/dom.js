// The elements of the flow, made once; the legend, which is made of the same colours and rules as the picture.
import {h} from "../../toolkit/elements.js"

export function build(T) {
  const group = (cls, label, role = "group") => h("div", {class: cls, role, "aria-label": label})
  const button = (cls, text, label) => h("button", {class: cls, type: "button", "aria-label": label}, text)
  const dom = {
    canvas: h("canvas", {class: "picture", role: "img", "aria-label": T.picture}),
    heads: group("headings", T.parts),
    pager: h(
      "div",
      {class: "pager", role: "group", "aria-label": T.block_pager},
      button(null, "‹", T.previous_block),
      h("span"),
      button(null, "›", T.next_block),
    ),
    tokens: group("tokens", T.tokens),
    captions: group("captions", T.steps),
    headTitle: h("div", {class: "headtitle"}, h("b", null, T.heads), h("span"), h("em")),
    headRow: group("headrow", T.heads),
    allHeads: h("button", {class: "quiet all", type: "button", "aria-expanded": "false"}),
    next: group("nextlist", T.next),
    grid: h("div", {class: "spot", tabindex: 0, role: "group", "aria-label": T.pattern_keys}),
    chart: h("div", {class: "spot", tabindex: 0, role: "group", "aria-label": T.chart_keys}),
    range: h("input", {type: "range", min: 0, step: 1, "aria-label": T.window_label}),
    windowText: h("span"),
    play: h("button", {class: "quiet play", type: "button"}),
    live: h("div", {class: "live", "aria-live": "polite"}),
    tip: h("div", {class: "tip", hidden: true, role: "tooltip"}, h("b"), h("code"), h("span")),
    busy: h("div", {class: "busy", hidden: true}),
    empty: h("p", {class: "empty"}, T.empty),
    inexact: h("p", {class: "inexact", hidden: true}, T.inexact),
  }
  dom.windowBar = h("label", {class: "windowbar", hidden: true}, dom.windowText, dom.range)
  dom.stage = h(
    "div",
    {class: "stage"},
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
    dom.next,
    dom.play,
  )
  dom.legend = h("div", {class: "legend", role: "note", "aria-label": T.legend})
  return dom
}

// Each entry: a drawn sign and what it means. Which entries there are depends on what the model has.
export function legend(app) {
  const {T, block, dom, tokens} = app
  const sign = (cls, text) => h("i", {class: `sign ${cls}`}, text)
  const list = [
    [[sign("norm", "N")], block.anatomy.norm_kind],
    [[sign("lane"), sign("lane on")], T.legend_lane],
    [[sign("q", "q"), sign("k", "k"), sign("v", "v")], T.legend_qkv],
    [[sign("ramp p")], T.legend_weight],
    [[sign("ramp s")], T.legend_signed],
    [[sign("share")], T.legend_share],
    [[sign("ticks")], T.legend_wo],
    [[sign("plus a"), sign("plus b")], T.legend_plus],
    [[sign("fan")], T.legend_fan],
    [[sign("bars")], T.legend_bars],
  ]
  if (block.experts) list.push([[sign("expert")], T.legend_experts])
  if (tokens.embed.bin > 1) list.push([[sign("bin")], T.legend_bin])
  dom.legend.replaceChildren(
    ...list.map(([signs, text]) => {
      const [short, long] = text.split("|")
      return h("span", {title: long ?? ""}, ...signs, h("em", null, short))
    }),
  )
}
