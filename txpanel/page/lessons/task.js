// The question of a step, and what is said to an answer. All texts come as [kind, text] pairs and are set as text, never as HTML.
import {blanks, h} from "../../toolkit/elements.js"
import {typedNumber} from "./number.js"

const TAGS = {b: "strong", i: "em", code: "code", live: "span"}

const together = (text) => text.replace(/(\d) %/g, "$1\u00a0%") // no line break between a number and its percent sign

export const runs = (pairs) =>
  pairs.map(([kind, text]) => {
    if (kind === "token") return h("span", {class: kind}, blanks(text))
    return TAGS[kind] ? h(TAGS[kind], {class: kind}, together(text)) : together(text)
  })

/** The elements of the question; `answer` is called with what was chosen. */
export function question(s, w, answer) {
  const {task} = s
  if (!task) return []
  const lead = h("p", {class: "ask"}, h("b", null, task.kind === "do" ? w.try_it : w.predict, " "), runs(task.ask))
  return task.kind === "do" || s.done ? [lead] : [lead, FORMS[task.kind](task, w, answer, s.held ? s.given : null)]
}

/** How often each answer was given, as bars. */
export function tally(votes, task, w) {
  if (!task || !votes.length) return ""
  const most = Math.max(1, ...votes.map(({n}) => n))
  const text = ({option, text: said}) => (option ? runs(task.options.find(([id]) => id === option)?.[1] ?? []) : said)
  return h(
    "ul",
    {class: "votes", "aria-label": w.votes_title},
    votes.map((one) =>
      h(
        "li",
        {class: one.right ? "is-right" : null},
        h("span", {class: "what"}, one.right ? "✓ " : "", text(one)),
        h("span", {class: "bar"}, h("i", {style: {width: `${(one.n / most) * 100}%`}})),
        h("b", null, String(one.n)),
      ),
    ),
  )
}

const mark = (field, wrong) => (wrong ? field.setAttribute("aria-invalid", "true") : field.removeAttribute("aria-invalid"))

const check = (w) => h("button", {type: "submit", class: "do"}, w.check)

function form(answer, read, ...children) {
  const submit = (event) => {
    event.preventDefault()
    const found = read()
    if (found !== null) answer(found)
  }
  return h("form", {onsubmit: submit, novalidate: true}, ...children)
}

const tokens = (label, task, w) =>
  h(
    "label",
    null,
    h("span", null, label),
    h(
      "select",
      null,
      h("option", {value: ""}, w.choose),
      task.tokens.map((text, i) => h("option", {value: i}, `${i + 1} · ${text}`)),
    ),
  )

/** The token that was chosen; where none was, that is the field to go to. */
const chosen = (label) => {
  const field = label.lastChild
  mark(field, field.value === "")
  if (field.value !== "") return Number(field.value)
  field.focus()
  return null
}

const FORMS = {
  choice: (task, _w, answer, given) =>
    h(
      "div",
      {class: "options", role: "group"},
      task.options.map(([id, text]) =>
        h(
          "button",
          {type: "button", "data-option": id, "aria-pressed": given === null ? null : String(given === id), onclick: () => answer(id)},
          runs(text),
        ),
      ),
    ),
  number: (task, w, answer) => {
    const input = h("input", {type: "text", inputmode: "decimal", autocomplete: "off", "aria-label": w.answer})
    const wants = h("p", {class: "wrong", role: "status"})
    const say = (wrong) => {
      mark(input, wrong)
      wants.textContent = wrong ? w.number : ""
    }
    const read = () => {
      const given = typedNumber(input.value)
      say(given === null)
      if (given === null) input.focus()
      return given === null ? null : task.percent ? given / 100 : given
    }
    input.addEventListener("input", () => say(false))
    return h("div", null, form(answer, read, input, task.percent ? h("span", {title: w.percent}, "%") : "", check(w)), wants)
  },
  token: (task, w, answer) => {
    const which = tokens(w.answer, task, w)
    return form(answer, () => chosen(which), which, check(w))
  },
  cell: (task, w, answer) => {
    const [query, key] = [tokens(w.query, task, w), tokens(w.key, task, w)]
    const read = () => {
      const at = [chosen(query), chosen(key)]
      return at.includes(null) ? null : at
    }
    return form(answer, read, query, key, check(w))
  },
}

/** The verdict, hints, the answer and what to observe, with buttons for more. may: whether the answer may be shown before anyone has tried. */
export function feedback(s, w, send, may = false) {
  const {task, verdict} = s
  if (!task) return []
  if (s.held) return s.given === null ? [] : [h("p", {class: "held"}, w.counted)]
  const found = []
  if (verdict && !verdict.right) {
    found.push(h("p", {class: "wrong"}, h("b", null, w.wrong, " "), runs(verdict.says)))
    if (verdict.confusion) found.push(h("p", {class: "confusion"}, w.confusion.replace("{confusion}", verdict.confusion)))
  }
  for (const hint of s.hints ?? []) found.push(h("p", {class: "hint"}, h("b", null, w.hint, ": "), runs(hint)))
  if (s.done) found.push(h("p", {class: "right"}, `✓ ${task.kind === "do" ? w.did_it : w.right}`))
  else if (s.revealed)
    found.push(
      h(
        "p",
        {class: "right"},
        w.revealed.replace("{answer}", () => s.revealed),
      ),
    )
  for (const one of s.after ?? []) found.push(h("p", null, runs(one)))
  const buttons = []
  const button = (label, kind) => buttons.push(h("button", {type: "button", class: "quiet", onclick: () => send(kind)}, label))
  if (!s.done && !s.revealed) {
    if ((s.hints?.length ?? 0) < task.hints) button(w.hint, "hint")
    if (task.kind !== "do" && (may || verdict?.tries >= 2)) button(w.reveal, "reveal")
  }
  if (buttons.length) found.push(h("div", {class: "more"}, buttons))
  return found
}
