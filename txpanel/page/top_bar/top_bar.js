// The bar at the top: name and Start here, model, theme; the prompt, its examples and Generate; progress and errors.
// Block, head and token are chosen in the flow; a slim bar repeats them while the flow has scrolled away.

import {replies} from "../../decoding/live_settings.js"
import {h} from "../../toolkit/elements.js"
import {percent} from "../../toolkit/numbers.js"
import {hear, say} from "../../toolkit/page_events.js"
import {isSaved} from "../../toolkit/saved_page.js"
import {above, away, handedOver, onConnection, onLeave, setWaiting} from "../connection/state.js"
import {begin} from "../lessons/asked.js"
import {aboutModel} from "./about.js"
import {amountChooser} from "./amount.js"
import {offerBar, putInto} from "./elsewhere.js"
import {exampleTexts} from "./examples.js"
import {kernelOf} from "./kernel.js"
import {languageLinks} from "./language.js"
import {modelChooser} from "./models.js"
import {turnTheme} from "./other_theme.js"
import {promptHeight} from "./prompt_height.js"
import {samplingControls} from "./sampling_controls.js"
import {sharing} from "./share.js"
import {stepper} from "./stepper.js"
import {keepTyped, typedOver} from "./typed.js"

export function render({model, view, el}) {
  const w = model.words
  const unsaid = {} // settings and selections made while there is no connection, as parts of the address
  const early = {} // and those made before the first connection
  const send = (kind, more = {}) => {
    if (["run", "generate", "append"].includes(kind)) say(el, "writing", kind !== "run")
    if (["set", "focus"].includes(kind)) Object.assign(model.isFirst ? early : away() ? unsaid : {}, more)
    model.send_msg({kind, ...more})
  }
  const button = (label, title, onclick, more = {}) => h("button", {type: "button", title, "aria-label": title, onclick, ...more}, label)

  // --- prompt ------------------------------------------------------------------------------------------------------
  const box = h("textarea", {
    rows: 1,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    "aria-label": w.prompt,
    placeholder: w.placeholder,
    "aria-describedby": "hint",
  })
  const hidden = h("span", {"aria-hidden": "true"})
  const ghost = h("button", {type: "button", class: "ghost", onclick: () => send("append")})
  const mirror = h("div", {class: "mirror"}, hidden, h("b", {class: "slot"}, ghost))
  const field = h("div", {class: "field"}, mirror, box)
  let known = model.text // the text that the server has; another text in the box has not been run yet
  const dirty = () => box.value !== known
  const fills = () => Boolean(model.info.fills?.reason) // a model such as BERT, which fills a mask token instead of continuing the text
  const height = promptHeight({box, mirror, hidden, ghost, field})
  const grow = () => {
    const shut = answering || dirty() || asked !== null || model.info.chat || fills() || !model.next.text || !box.value || model.status.busy
    height.lay(shut, model.next.text)
    run.hidden = !dirty()
    field.classList.toggle("dirty", dirty())
  }
  let answering = false
  const clean = (text) => (text.toWellFormed ? text.toWellFormed() : text)
  let asked = null // the last request with a text: until the server has handled it, a text that it sends is an older one
  const ask = (kind, text, more = {}) => {
    setWaiting(model, true)
    known = text
    globalThis.txAsked = (globalThis.txAsked ?? 0) + 1 // one count per page, which may show several bars
    asked = `${performance.timeOrigin}/${globalThis.txAsked}`
    send(kind, {text, asked, ...more})
  }
  const take = () => {
    if (asked !== null) return
    if (!dirty() || box.value === model.text) box.value = model.text // a text that is being typed is never overwritten
    known = model.text
    bringBack()
    grow()
  }
  // Once, with the first text of the server: what was typed before a reload, unless something was typed since.
  let brought = false
  const bringBack = () => {
    if (!brought && known && !dirty()) box.value = typedOver(known) ?? known
    brought ||= Boolean(known)
  }
  // A text that the server would refuse for its length is not sent, and stays in the box.
  let tooLong = ""
  const fits = (text) => {
    const most = model.info.limits?.characters || Infinity
    const length = [...text].length
    tooLong = length > most ? w.too_long.replace("{n}", length).replace("{most}", most) : ""
    drawStatus()
    return !tooLong
  }
  const submit = () => {
    const text = clean(box.value)
    if (box.value !== text) box.value = text
    if (!fits(text)) return
    ask("run", text)
    grow()
  }
  box.addEventListener("input", () => {
    height.typed()
    grow()
  })
  for (const name of ["focus", "blur"]) box.addEventListener(name, grow)
  box.addEventListener("scroll", () => {
    mirror.scrollTop = box.scrollTop
  })
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault()
      submit()
    }
    if (event.key === "Tab" && !event.shiftKey && !ghost.hidden && box.selectionStart === box.value.length && event.altKey) {
      event.preventDefault()
      send("append")
    }
  })
  const run = button(w.run, w.run_title, submit, {class: "run"})
  field.append(run)

  // --- models and examples ---------------------------------------------------------------------------------------------
  const models = modelChooser(model, send)
  const {root: examples, draw: drawExamples} = exampleTexts(model, (text) => tryOut(text))
  const tryOut = (text) => {
    box.value = text
    submit()
  }

  let falls = null // the token that would be drawn while a slider is dragged, until the server confirms it
  const sampling = samplingControls(model, send, (token) => {
    falls = token
    drawNext()
  })

  // --- generate ----------------------------------------------------------------------------------------------------
  const {root: amount, limit: limitAmount} = amountChooser(model)
  let lined = false // whether the timeline has its line under the bar
  let stopping = false // Stop was clicked, and the model has not stopped yet
  const generate = h("button", {
    type: "button",
    class: "primary",
    onclick: () => {
      if (model.status.busy && model.status.generating) {
        stopping = true
        drawStatus()
        return send("cancel")
      } // only then the button says Stop
      if (dirty()) {
        if (!fits(clean(box.value))) return
        ask("generate", clean(box.value), {n: Number(amount.value)})
      } else send("generate", {n: Number(amount.value)})
      height.reserve()
    },
  })
  const append = button(w.fill, w.fill_title, () => send("append"), {class: "primary fill", hidden: true}) // puts the most likely token in the place of the mask token
  const undo = button("↶", w.undo, () => send("undo"), {class: "icon"})
  const redo = button("↷", w.redo, () => send("redo"), {class: "icon"})
  const gap = button(
    "",
    "",
    () => {
      box.setRangeText(model.info.fills.mask, box.selectionStart, box.selectionEnd, "end")
      box.focus()
      box.dispatchEvent(new Event("input"))
    },
    {class: "quiet gap", hidden: true},
  )
  const talk = button(w.chat, w.chat_title, () => send("chat", {on: !model.info.chat}), {class: "quiet talk", hidden: true})

  const about = aboutModel(model, send)
  const share = sharing(model, send)
  const theme = button("◐", w.theme, turnTheme(send), {class: "icon", "data-alone": "saved"})
  const starts = {class: "start", "aria-label": w.start, "data-alone": ""}
  const start = button(`▶ ${w.start}`, w.start_title, () => begin(el, model.isFirst), starts)

  const steppers = [
    ["layer", w.block],
    ["head", w.head],
    ["query", w.token],
  ].map(([name, label]) => stepper(model, send, name, label))

  // --- messages ------------------------------------------------------------------------------------------------------
  const said = h("span", {class: "said"})
  const meter = h("i", {class: "meter"}, h("b"))
  const stop = button(w.cancel, w.cancel, () => send("cancel"), {class: "small"})
  const working = h(
    "div",
    {class: "working", role: "status", hidden: true},
    h("i", {class: "spin", "aria-hidden": "true"}),
    h("span", {class: "stage"}),
    meter,
    stop,
  )
  const banner = h(
    "div",
    {class: "banner", role: "alert", hidden: true},
    h("span"),
    button("×", w.dismiss, () => (tooLong ? fits("") : send("dismiss")), {class: "icon"}),
  )
  const status = h("div", {class: "status"}, examples, working, said)
  const look = h("div", {class: "look", role: "group", "aria-label": w.look}, ...steppers.map((s) => s.root))

  el.append(
    h(
      "header",
      {class: "bar", role: "banner"},
      h(
        "div",
        {class: "top"},
        h("h1", {class: "logo"}, "txpanel"),
        h("p", {class: "lead"}, w.lead),
        start,
        h("span", {class: "room"}),
        models.root,
        talk,
        about.root,
        ...languageLinks(model),
        share,
        theme,
      ),
      h(
        "div",
        {class: "write"},
        h("div", {class: "prompt"}, field, h("span", {id: "hint", class: "unseen"}, w.hint)),
        h("div", {class: "sampling"}, sampling.inline, sampling.more),
        h("div", {class: "go"}, gap, append, h("span", {class: "split"}, generate, amount), undo, redo),
      ),
      status,
      banner,
      look,
    ),
  )

  // --- from the server -------------------------------------------------------------------------------------------------
  const drawInfo = () => {
    const {title, facts, reason} = model.info
    models.opener.replaceChildren(
      h("b", null, title || w.no_model),
      facts ? h("span", null, ` · ${facts}`) : "",
      h("i", {"aria-hidden": "true"}, "▾"),
    )
    models.opener.setAttribute("aria-label", `${models.opener.textContent.replace("▾", "")}: ${w.choose_model}`)
    said.textContent = reason
    said.title = reason
    drawExamples()
    box.placeholder = model.info.reads || w.placeholder
    about.draw()
    talk.hidden = model.info.chat == null
    talk.setAttribute("aria-pressed", String(Boolean(model.info.chat)))
    gap.hidden = !fills() || !model.info.fills.mask
    gap.textContent = `+ ${model.info.fills?.mask ?? ""}`
    gap.title = w.gap_title.replace("{mask}", model.info.fills?.mask ?? "")
    gap.setAttribute("aria-label", gap.title)
    append.hidden = !fills()
    generate.parentElement.hidden = fills() // only one of the two: fill the mask token, or generate
    limitAmount()
    drawStatus()
  }
  const drawStatus = () => {
    const {busy, progress, error, notice, ready, generating} = model.status
    el.dataset.runs = model.status.runs
    el.dataset.busy = Boolean(busy)
    working.hidden = !(busy && progress)
    if (progress) {
      working.querySelector(".stage").textContent = progress.text
      meter.hidden = progress.fraction == null
      meter.firstChild.style.width = `${(progress.fraction ?? 0) * 100}%`
    }
    stop.hidden = !progress?.can_cancel
    said.hidden = !working.hidden || !said.textContent
    // The timeline takes the place of this row, so that nothing below moves when it comes. A message still gets the row.
    status.hidden = lined && said.hidden && (working.hidden || generating)
    const told = tooLong || error || (kernel.asleep() ? w.asleep : notice) || ""
    banner.hidden = !told
    banner.classList.toggle("notice", !(tooLong || error))
    banner.firstChild.textContent = told
    field.classList.toggle("busy", busy && !progress)
    stopping &&= Boolean(busy && generating)
    generate.textContent = stopping ? w.stopping : busy && generating ? w.stop : w.generate
    generate.title = fills() ? model.info.fills.reason : busy && generating ? w.stop : w.generate_title
    generate.disabled = amount.disabled = !ready || fills()
    append.disabled = !ready || busy || !model.next.text
    undo.disabled = !model.status.can_undo
    redo.disabled = !model.status.can_redo
    grow()
  }
  const drawNext = () => {
    const {text, p} = model.next.text ? (falls ?? model.next) : model.next
    ghost.textContent = text
    ghost.title = text ? w.ghost.replace("{p}", percent(p)) : ""
    ghost.setAttribute("aria-label", text ? `${text}: ${ghost.title}` : "")
    drawStatus()
  }
  model.on("text", take)
  const kernel = kernelOf(model, view, el, () => [...steppers.map((s) => s.draw), drawStatus].forEach((draw) => draw()))
  replies.come = () => !isSaved() && !away() && !kernel.asleep()
  model.on("heard", () => {
    if (model.heard === asked) {
      asked = null
      setWaiting(model, false)
      take()
    }
  })
  // The page may be loaded again when the server is back: what the server has not received is handed over to it.
  const stops = [
    onLeave(() => ({words: model.isFirst ? early : unsaid, text: asked === null ? null : known, typed: dirty() ? box.value : null})),
    keepTyped(() => ({text: box.value, over: known})),
    onConnection((state) => {
      if (state === "open") for (const name of Object.keys(unsaid)) delete unsaid[name]
    }),
  ]
  model.on("remove", () => {
    setWaiting(model, false)
    for (const stop of [...stops, offered, kernel.stop, sight, played, placed, below]) stop()
  })
  model.on("info", drawInfo)
  model.on("status", drawStatus)
  model.on("next", () => {
    falls = null
    drawNext()
  })
  model.on("settings", sampling.draw)
  model.on("place", () => steppers.forEach((s) => s.draw()))
  // Replaces the address: the browser's Back leaves the page; for steps on the page there is Undo.
  model.on("address", () => history.replaceState(history.state, "", `${location.pathname}${model.address}${location.hash}`))
  const {text, typed} = handedOver()
  if (typeof text === "string" && text !== model.text) {
    box.value = text
    submit()
  } else {
    box.value = model.text
    bringBack()
  }
  if (typeof typed === "string") box.value = typed
  drawInfo()
  drawNext()
  sampling.draw()
  steppers.forEach((s) => s.draw())
  // The bar scrolls away, but stays on screen while it has the keyboard focus or shows a message.
  above.top = () => el.getBoundingClientRect().top
  above.bottom = () => (look.hidden ? el : look).getBoundingClientRect().bottom
  let inside = false
  let high = el.offsetHeight
  const stick = () => {
    view.el.style.top = inside || !banner.hidden ? "0" : `${-high}px`
  }
  // With a flow to select in, the slim bar shows under the bar while the flow is out of sight; without one, it is part of the bar.
  const pictured = () => {
    look.hidden = model.pictured
    look.classList.toggle("stands", !model.pictured)
  }
  const sight = hear("sight", view, (on) => look.toggleAttribute("hidden", on))
  // With a flow, the settings stand there, under the bars that they change.
  const offered = offerBar(view, el, {field, ghost, models, generate, amount, undo, redo, sampling})
  const placed = hear("settings", view, (place) => putInto(place, el, "under", sampling.inline, sampling.more))
  const played = hear("play", view, (on) => {
    answering = on // during ▶ Play the next token is not shown up here before the flow has come to it
    grow()
  })
  const below = hear("lined", view, (on) => {
    lined = on
    drawStatus()
  })
  say(el, "asklined")
  model.on("pictured", pictured)
  pictured()
  for (const kind of ["focusin", "focusout"]) {
    el.addEventListener(kind, (event) => {
      inside = kind === "focusin" && !look.contains(event.target) && event.target.matches(":focus-visible")
      stick()
    })
  }
  new MutationObserver(stick).observe(banner, {attributes: true})
  new ResizeObserver(() => {
    high = el.offsetHeight
    stick()
  }).observe(el)
  const anew = () => {
    height.widthChanged()
    grow()
    el.style.setProperty("--bar", `${el.offsetHeight}px`)
  }
  new ResizeObserver(anew).observe(field)
  document.fonts?.ready.then(anew)
}
