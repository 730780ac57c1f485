// The box that leads through a lesson, and the highlight on what it explains. It floats over the page, and what is dimmed can still be clicked.
// The learner's place is remembered in this browser only.
import {h} from "../../toolkit/elements.js"
import {focused} from "../../toolkit/focus.js"
import {hear, say} from "../../toolkit/page_events.js"
import {isSaved} from "../../toolkit/saved_page.js"
import {askedToStart, begun, listening} from "./asked.js"
import {captions} from "./captions.js"
import {Light} from "./light.js"
import {memory} from "./memory.js"
import {feedback, question, runs, tally} from "./task.js"
import {Teach} from "./teach.js"

const ON = new Set(["ArrowRight", "PageDown"]) // what a presenter's remote control sends, too
const BACK = new Set(["ArrowLeft", "PageUp"])

export function render({model, view, el}) {
  if (isSaved()) return // no server that could send the steps
  const w = model.words
  const kept = memory()
  const send = (kind, more = {}) => model.send_msg({kind, ...more})
  const sendOf = (kind, more = {}) => send(kind, {...more, at: `${now().lesson}/${now().step}`}) // a class may have gone on meanwhile
  const button = (label, act, more = {}) => h("button", {type: "button", onclick: act, ...more}, label)

  const title = h("span", {class: "title"})
  const count = h("span", {class: "count"})
  const menu = button(`${w.lessons} ▾`, () => list(list_.hidden), {class: "quiet", "aria-expanded": "false"})
  const teaches = button(`${w.teach} ▾`, () => sheet(teach.sheet.hidden), {class: "quiet", "aria-expanded": "false"})
  const leave = button("✕", () => close(), {class: "quiet leave", "aria-label": w.close, title: w.close})
  const heading = h("h2", {tabindex: "-1"})
  const words = h("div", {class: "words"})
  const task = h("div", {class: "task"})
  const counted = h("div")
  const said = h("div", {class: "said", role: "status"})
  const list_ = h("ul", {class: "list", hidden: true})
  const dots = h("div", {class: "dots", role: "group", "aria-label": w.progress})
  const teach = new Teach(
    model,
    send,
    () => {
      draw()
      light.place()
    },
    () => sheet(false), // the class's step is what one came for
  )
  const back = button(w.back, () => to(-1), {class: "quiet"})
  const next = button(w.next, () => to(1), {class: "next", title: w.keys})
  const head = h("header", null, title, count, h("i", {class: "room"}), menu, teaches, leave)
  const body = h("div", {class: "body"}, heading, words, task, counted, said)
  const box = h(
    "section",
    {class: "box", role: "dialog", hidden: true},
    head,
    list_,
    teach.sheet,
    teach.line,
    body,
    h("footer", null, dots, h("i", {class: "room"}), back, next),
  )
  const light = new Light(view, box, w.hidden)
  const caption = captions({model, view, send, busy: () => open()})
  el.append(light.root, box, caption.line)

  let before = null // what had the focus when the lesson was opened
  const now = () => model.shown
  const open = () => Boolean(now()?.step)
  const drawn = {} // section -> the data that it was drawn from

  // --- what a person does --------------------------------------------------------------------------------------------------
  const start = (id, step) => {
    before ??= focused()
    list(false)
    sheet(false)
    const name = id || "tour"
    send("open", {lesson: name, step: step ?? kept.at(name)})
  }
  const close = () => {
    send("close")
    finish()
  }
  const finish = () => {
    light.off()
    box.hidden = true
    say(el, "playto", null)
    for (const name of Object.keys(drawn)) delete drawn[name]
    if (before?.isConnected) before.focus({preventScroll: true})
    before = null
  }
  const to = (by) => {
    const {steps, i, lesson} = now()
    if (i + by >= steps.length) {
      kept.done(lesson)
      if (others().length) list(true)
      else close()
    } else if (i + by >= 0) go(steps[i + by])
  }
  const go = (step) => {
    list(false)
    sheet(false)
    send("go", {step})
  }
  // While presenting: first the question, then its answer, then the next step.
  const advance = () => {
    const s = now()
    const asks = s.task && s.task.kind !== "do" && !s.done && !s.revealed && !s.held
    if (teach.mayShow() && asks) sendOf("reveal")
    else to(1)
  }
  const sheet = (on) => {
    if (on) list(false)
    body.hidden = on
    teach.show(on)
    teaches.setAttribute("aria-expanded", String(on))
    light.place()
  }
  const others = () => model.lessons.filter(({id}) => id !== now()?.lesson)
  const list = (on) => {
    if (on) sheet(false)
    if (on)
      list_.replaceChildren(
        ...model.lessons.map(({id, title: name, minutes}) =>
          h(
            "li",
            null,
            button(name, () => start(id), {"aria-current": id === now()?.lesson ? "true" : null}),
            h(
              "span",
              null,
              [minutes ? w.minutes.replace("{n}", minutes) : "", kept.isDone(id) ? `✓ ${w.taken}` : ""].filter(Boolean).join(" · "),
            ),
          ),
        ),
      )
    list_.hidden = !on
    menu.setAttribute("aria-expanded", String(on))
    light.place()
    if (on) list_.querySelector("button")?.focus({preventScroll: true})
  }
  const keys = (event) => {
    if (!open() || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return
    const from = focused()
    const inside = from === document.body || from === document.documentElement || (box.contains(from) && !from.matches("input,select"))
    if (event.key === "Escape" && (inside || box.contains(from))) {
      event.preventDefault()
      if (!teach.sheet.hidden) sheet(false)
      else if (list_.hidden) close()
      else list(false)
    } else if (inside && ON.has(event.key)) turn(event, teach.mayShow() ? advance : () => to(1))
    else if (inside && BACK.has(event.key)) turn(event, () => to(-1))
    else if (inside && teach.mayShow() && event.key === " " && !from.matches?.("button,a,summary")) turn(event, advance)
  }
  const turn = (event, act) => {
    if (event.key.startsWith("Page") && !teach.mayShow()) return // outside of presenting these keys scroll
    event.preventDefault()
    act()
  }

  // --- what the server says ----------------------------------------------------------------------------------------------------
  const section = (name, from, draw) => {
    const key = JSON.stringify(from) ?? ""
    if (drawn[name] === key) return
    drawn[name] = key
    draw()
  }
  const draw = () => {
    const s = now()
    if (!open()) {
      if (!box.hidden) finish()
      return
    }
    if (box.hidden) before ??= focused()
    const came = drawn.step !== `${s.lesson}/${s.step}`
    drawn.step = `${s.lesson}/${s.step}`
    box.hidden = false
    caption.draw()
    box.setAttribute("aria-label", `${w.label}: ${s.title}`)
    title.textContent = s.title
    count.textContent = `${s.i + 1} / ${s.steps.length}`
    count.setAttribute("aria-label", w.of.replace("{i}", s.i + 1).replace("{n}", s.steps.length))
    menu.hidden = model.lessons.length < 2
    section("heading", s.heading, () => heading.replaceChildren(...runs(s.heading)))
    section("words", [s.paragraphs, s.needs, s.load, s.text], () =>
      words.replaceChildren(
        ...s.paragraphs.map((one) => h("p", null, runs(one))),
        s.needs ? h("p", {class: "needs"}, s.needs) : "",
        s.load
          ? button(
              w.load.replace("{model}", () => s.load.title),
              () => send("load"),
              {class: "do"},
            )
          : "",
        s.text
          ? button(
              w.text.replace("{text}", () => s.text),
              () => send("text"),
              {class: "do"},
            )
          : "",
      ),
    )
    box.classList.toggle("large", teach.presents)
    teach.stands()
    teach.draw()
    const votes = teach.bars()
    const pressed = s.task?.kind === "choice" && s.held && s.given // forms with text fields are left alone: they keep what was typed
    section("task", [drawn.step, s.task, s.done, pressed], () =>
      task.replaceChildren(...question(s, w, (answer) => sendOf("answer", {answer}))),
    )
    section("counted", [votes, s.task], () => counted.replaceChildren(tally(votes, s.task, w)))
    const may = teach.mayShow()
    section("said", [s.done, s.verdict, s.hints, s.after, s.revealed, s.task?.kind, s.held && s.given, may], () => {
      said.replaceChildren(...feedback(s, w, sendOf, may))
      const asked = `${drawn.step}/${s.task?.kind}` // a question whose values take long comes later than its step: then the box stays at its top
      if (drawn.asked === asked && said.childElementCount) said.scrollIntoView({block: "nearest"})
      drawn.asked = asked
    })
    section("dots", [s.steps, s.i], () =>
      dots.replaceChildren(
        ...s.steps.map((id, i) =>
          button("", () => go(id), {
            "aria-label": w.of.replace("{i}", i + 1).replace("{n}", s.steps.length),
            "aria-current": i === s.i ? "step" : null,
            class: i < s.i ? "past" : null,
          }),
        ),
      ),
    )
    back.disabled = s.i === 0
    next.textContent = s.i + 1 === s.steps.length ? w.end : w.next
    next.classList.toggle("primary", !s.task || s.done || Boolean(s.revealed))
    const from = focused()
    const writes = !box.contains(from) && from?.matches("input,textarea,select") // a class goes on while a person types: the focus stays there
    light.on(s.lit, s.hidden, came, !writes)
    if (!came) return
    kept.reach(s.lesson, s.step)
    body.scrollTop = 0
    if (!writes) heading.focus({preventScroll: true})
    if (s.lit.length && !s.lit.includes("view") && !s.lit.includes("card")) say(el, "uncover")
    say(el, "playto", s.play || null)
  }

  document.addEventListener("keydown", keys)
  const stops = [
    hear("start", view, (id, event) => {
      event.preventDefault()
      start(id)
    }),
    hear("played", view, (name) => {
      if (open()) send("played", {name})
    }),
  ]
  model.on(["shown", "lessons", "classed", "classes"], draw)
  model.on("remove", () => {
    document.removeEventListener("keydown", keys)
    light.stop()
    caption.stop()
    listening(false)
    for (const stop of stops) stop()
  })
  listening(true)
  draw()
  if (askedToStart()) {
    begun()
    start()
  }
}
