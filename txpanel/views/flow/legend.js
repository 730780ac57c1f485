// What the signs of the picture mean, made of the same colours and rules: the few that matter in one line, all of them with their
// explanations on demand. Which there are depends on what the model has.
import {h} from "../../toolkit/elements.js"

const sign = (cls, text) => h("i", {class: `sign ${cls}`}, text)

// [drawn signs, short and long words, whether it stands in the line]
function entries({T, block, tokens, anatomy}) {
  const open = block.anatomy.mixer === "open"
  const list = [
    [() => [sign("lane"), sign("lane on")], T.legend_lane, true],
    [() => [sign("ramp p")], T.legend_weight, open],
    [() => [sign("share")], T.legend_share, open],
    [() => [sign("plus a"), sign("plus b")], T.legend_plus, true],
    [() => [sign("fan")], T.legend_fan, true],
    [() => [sign("shut")], T.legend_closed, true],
    [() => [sign("norm", "N")], `${block.anatomy.norm_kind}|${T.legend_norm}`, false],
    [() => [sign("q", "q"), sign("k", "k"), sign("v", "v")], T.legend_qkv, false],
    [() => [sign("ramp s")], T.legend_signed, false],
    [() => [sign("ticks")], T.legend_wo, false],
    [() => [sign("bars")], T.legend_bars, false],
    [() => [sign("expert")], T.legend_experts, false],
    [() => [sign("bin")], T.legend_bin, false],
  ]
  const there = {
    [T.legend_weight]: open,
    [T.legend_share]: open,
    [T.legend_qkv]: open,
    [T.legend_wo]: open,
    [T.legend_closed]: anatomy.closed.flat().some(Boolean),
    [T.legend_experts]: Boolean(block.experts),
    [T.legend_bin]: tokens.embed.bin > 1,
  }
  return list.filter(([, text]) => there[text] ?? true)
}

export function legend(app) {
  const {T, dom} = app
  const list = entries(app)
  const more = h("button", {type: "button", "aria-expanded": !dom.signs.hidden, onclick: () => showSigns(app, true)}, `${T.all_signs} ▾`)
  dom.legend.replaceChildren(
    ...list
      .filter(([, , inLine]) => inLine)
      .map(([signs, text]) => {
        const [short, long] = text.split("|")
        return h("span", {title: long}, signs(), h("em", null, short))
      }),
    more,
  )
  dom.signs.replaceChildren(
    h(
      "header",
      null,
      h("b", null, T.all_signs),
      h("button", {type: "button", "aria-label": T.close, title: T.close, onclick: () => showSigns(app, false)}, "✕"),
    ),
    h(
      "dl",
      null,
      list.map(([signs, text]) => {
        const [short, long] = text.split("|")
        return h("div", null, h("dt", {"aria-hidden": "true"}, signs()), h("dd", null, h("b", null, short), long))
      }),
    ),
  )
  besideLegend(app)
}

const TOOLS = 300 // pixels that the picture's tools need, which come after the flow: they stand at the end of the legend's last line where it has them

export function besideLegend({root, dom}) {
  const last = dom.legend.lastElementChild
  const free = last ? root.clientWidth - last.offsetLeft - last.offsetWidth : 0
  const beside = dom.signs.hidden && !dom.legend.hidden && free > TOOLS
  root.style.marginBottom = beside ? "-26px" : "6px"
}

export function showSigns(app, on) {
  const {dom} = app
  dom.signs.hidden = !on
  besideLegend(app)
  const opener = dom.legend.querySelector("button")
  opener.setAttribute("aria-expanded", String(on))
  if (on) dom.signs.scrollIntoView({block: "nearest"})
  else opener.focus({preventScroll: true})
}
