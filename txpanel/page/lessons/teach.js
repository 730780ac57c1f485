// For teachers and their classes: the sheet with text size, link, class and files; the line that says where the class is.
import {download, h} from "../../toolkit/elements.js"
import {patch} from "../../toolkit/patch.js"
import {keepKey, keyOf, who} from "./class_memory.js"
import {isOwn, linkOf} from "./link.js"
import {picture} from "./qr.js"

const SIZE = "txpanel-presents"

const stored = () => {
  try {
    return sessionStorage.getItem(SIZE) === "1"
  } catch {
    return false
  }
}

export class Teach {
  /** changed: called when the box has another size. joined: called when a class was joined by a code that was typed. */
  constructor(model, send, changed, joined) {
    this.model = model
    this.send = send
    this.changed = changed
    this.joined = joined
    this.joins = false
    this.presents = stored()
    this.linked = false // whether the link is shown
    this.votes = "" // the step whose votes are shown before its answer is
    this.sheet = h("div", {class: "teach", hidden: true})
    const w = model.words
    const quiet = (label, act) => h("button", {type: "button", class: "quiet", onclick: act, hidden: true}, label)
    this.parts = {
      code: h("b"),
      status: h("span", {role: "status"}),
      votes: quiet(w.votes, () => this.unfold(`${model.shown.lesson}/${model.shown.step}`)),
      back: quiet(w.to_class, () => send("join", {code: model.classed.code, who: who()})),
      load: quiet("", () => send("classmodel")),
      text: quiet("", () => send("classtext")),
      leave: quiet(w.leave_class, () => send("leave")),
    }
    this.line = h("div", {class: "class", hidden: true}, Object.values(this.parts))
    model.on("qr", () => this.draw())
    this.making = "" // the file that is being made
    model.on("msg:custom", ({kind, name, data}) => {
      this.making = ""
      this.draw()
      if (kind === "file") download(name, new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))]))
    })
    model.on("wanted", () => this.come())
    this.come()
  }

  /** A page opened by the address of a class leads it again, if this tab did before, else follows it. */
  come() {
    const code = this.model.wanted
    if (!code) return
    const key = keyOf(code)
    if (key) this.send("lead", {code, key})
    else this.send("join", {code, who: who()})
  }

  show(on) {
    this.sheet.hidden = !on
    this.drawn = ""
    if (!on) return
    this.draw()
    this.sheet.querySelector("button")?.focus({preventScroll: true})
  }

  present(on) {
    this.presents = on
    try {
      sessionStorage.setItem(SIZE, on ? "1" : "0")
    } catch {
      // no storage here: forgotten with the page
    }
    this.draw()
    this.changed()
  }

  leads() {
    return Boolean(this.model.classed?.leads)
  }

  /** Whether the answer may be shown before anyone has tried. */
  mayShow() {
    return this.presents || this.leads()
  }

  address() {
    const {lesson, step} = this.model.shown
    return linkOf(location.href, {lesson, step, code: this.model.classed?.code ?? ""})
  }

  draw() {
    const {model, send} = this
    const w = model.words
    const {code, leads} = model.classed ?? {}
    if (leads) keepKey(code, model.classed.key)
    if (code && this.joins) {
      this.joins = false
      this.joined()
    }
    if (this.sheet.hidden) return
    const drawn = JSON.stringify([this.presents, this.linked, model.qr, this.address(), model.classes, code, leads, this.making])
    if (drawn === this.drawn) return // unchanged: a button that is being pressed and a code that is being typed stay
    this.drawn = drawn
    const item = (label, act, more = {}, note = "") =>
      h("li", null, h("button", {type: "button", onclick: act, ...more}, label), note ? h("p", null, note) : null)
    const address = this.address()
    const link = this.linked && model.qr?.address === address ? this.link(address) : null
    if (this.linked && !link && this.asked !== address) send("qr", {address})
    this.asked = this.linked ? address : ""
    const ask = () => {
      this.linked = !this.linked
      this.draw()
    }
    const file = (what, label, note) =>
      item(
        this.making === what ? w.making : label,
        () => {
          this.making = what
          send("file", {what})
          this.draw()
        },
        {disabled: Boolean(this.making)},
        note,
      )
    const begin = model.classes
      ? item(w.begin_class, () => send("class"), {}, w.class_note)
      : item(w.begin_class, () => {}, {disabled: true}, w.no_classes)
    const end = item(w.end_class, () => {
      keepKey("", "")
      send("end")
    })
    this.sheet.replaceChildren(
      h(
        "ul",
        null,
        item(`${this.presents ? "✓ " : ""}${w.large}`, () => this.present(!this.presents), {"aria-pressed": this.presents}, w.large_note),
        item(w.link, ask, {"aria-expanded": String(this.linked)}),
        link,
        file("handout", w.handout, w.handout_note),
        file("notebook", w.notebook, w.notebook_note),
        leads ? end : code ? null : begin,
        model.classes && !code ? this.joining() : null,
      ),
    )
  }

  link(address) {
    const w = this.model.words
    const field = h("input", {type: "text", readonly: true, value: address, "aria-label": w.link, onfocus: (e) => e.target.select()})
    const {rows} = this.model.qr
    return h(
      "li",
      {class: "link"},
      rows.length ? picture(rows, w.qr) : h("p", null, w.too_long),
      field,
      isOwn(address) ? h("p", {class: "needs"}, w.own_address) : null,
    )
  }

  joining() {
    const w = this.model.words
    const input = h("input", {type: "text", maxlength: 12, autocomplete: "off", autocapitalize: "characters", "aria-label": w.code})
    const submit = (event) => {
      event.preventDefault()
      if (!input.value.trim()) return
      this.joins = true
      this.send("join", {code: input.value.trim(), who: who()})
    }
    return h(
      "li",
      null,
      h("form", {onsubmit: submit}, h("label", null, h("span", null, w.code), input), h("button", {type: "submit", class: "do"}, w.join)),
    )
  }

  /** The line of the class, under the title. Its elements stay the same: answers come in while a button of it is pressed. */
  stands() {
    const w = this.model.words
    const c = this.model.classed ?? {}
    const {code, status, votes, back, load, text, leave} = this.parts
    this.line.hidden = !c.code
    if (!c.code) return
    patch(code, w.class_code.replace("{code}", c.code))
    status.hidden = !c.leads && !c.here
    patch(status, c.leads ? w.present_answered.replace("{n}", c.members).replace("{m}", c.answered) : w.follows)
    votes.hidden = !c.leads || !c.votes || this.seesVotes()
    back.hidden = c.leads || c.here
    load.hidden = c.leads || !c.model || Boolean(this.model.shown.load)
    if (c.model) patch(load, w.class_model.replace("{model}", c.model))
    text.hidden = c.leads || !c.text
    if (c.text)
      patch(
        text,
        w.class_text.replace("{text}", () => (c.text.length > 60 ? `${c.text.slice(0, 59)}…` : c.text)),
      )
    leave.hidden = c.leads
  }

  unfold(question) {
    this.votes = question
    this.changed()
  }

  /** Whether the leader sees how often each answer was given. */
  seesVotes() {
    const {lesson, step, done, revealed} = this.model.shown
    return this.leads() && (this.votes === `${lesson}/${step}` || done || Boolean(revealed))
  }

  /** How often each answer was given, as bars; of a choice by option. */
  bars() {
    const {votes} = this.model.classed ?? {}
    return votes && this.seesVotes() ? votes : []
  }
}
