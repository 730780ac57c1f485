// The elements of the flow, made once; the legend, which is made of the same colours and rules as the picture.
import {node} from "./core.js"

export function build(T) {
  const group = (cls, label, role = "group") => node("div", {cls, attrs: {role}, aria: {label}})
  const button = (cls, text, label) => node("button", {cls, type: "button", text, aria: {label}})
  const dom = {
    canvas: node("canvas", {cls: "picture", attrs: {role: "img"}, aria: {label: T.picture}}),
    heads: group("headings", T.parts),
    pager: node(
      "div",
      {cls: "pager", attrs: {role: "group"}, aria: {label: T.block_pager}},
      button("", "‹", T.previous_block),
      node("span"),
      button("", "›", T.next_block),
    ),
    tokens: group("tokens", T.tokens),
    captions: group("captions", T.steps),
    headTitle: node("div", {cls: "headtitle"}, node("b", {text: T.heads}), node("span"), node("em")),
    headRow: group("headrow", T.heads),
    allHeads: node("button", {cls: "quiet all", type: "button", aria: {expanded: "false"}}),
    next: group("nextlist", T.next),
    grid: node("div", {cls: "spot", tabIndex: 0, attrs: {role: "group"}, aria: {label: T.pattern_keys}}),
    chart: node("div", {cls: "spot", tabIndex: 0, attrs: {role: "group"}, aria: {label: T.chart_keys}}),
    range: node("input", {type: "range", min: 0, step: 1, aria: {label: T.window_label}}),
    windowText: node("span"),
    play: node("button", {cls: "quiet play", type: "button"}),
    live: node("div", {cls: "live", attrs: {"aria-live": "polite"}}),
    tip: node("div", {cls: "tip", hidden: true, attrs: {role: "tooltip"}}, node("b"), node("code"), node("span")),
    busy: node("div", {cls: "busy", hidden: true}),
    empty: node("p", {cls: "empty", text: T.empty}),
    inexact: node("p", {cls: "inexact", text: T.inexact, hidden: true}),
  }
  dom.windowBar = node("label", {cls: "windowbar", hidden: true}, dom.windowText, dom.range)
  dom.stage = node(
    "div",
    {cls: "stage"},
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
  dom.legend = node("div", {cls: "legend", attrs: {role: "note"}, aria: {label: T.legend}})
  return dom
}

// Each entry: a drawn sign and what it means. Which entries there are depends on what the model has.
export function legend(app) {
  const {T, block, dom, tokens} = app
  const sign = (cls, text) => node("i", {cls: `sign ${cls}`, text: text ?? ""})
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
      return node("span", {title: long ?? ""}, ...signs, node("em", {text: short}))
    }),
  )
}
