// The bar on top: model, prompt, examples, sampling, generate; below it what runs and why, progress, errors, where we look.

import {h} from "../../toolkit/elements.js"
import {percent} from "../../toolkit/numbers.js"
import {modelChooser} from "./models.js"
import {popover} from "./popover.js"
import {sharing} from "./share.js"
import {stepper} from "./stepper.js"

const GHOST_UP_TO = 4000 // longer prompts are not mirrored to place the next token behind them

export function render({model, view, el}) {
  const w = model.words
  const send = (kind, more = {}) => model.send_msg({kind, ...more})
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
  const mirror = h("div", {class: "mirror"})
  const ghost = h("button", {type: "button", class: "ghost", onclick: () => send("append")})
  const field = h("div", {class: "field"}, mirror, box)
  let known = model.text // what the server has; what differs from it is not run yet
  const dirty = () => box.value !== known
  const grow = () => {
    mirror.replaceChildren(box.value.length <= GHOST_UP_TO ? h("span", {"aria-hidden": "true"}, box.value) : "", ghost)
    ghost.hidden = dirty() || model.info.chat || !model.next.text || !box.value || model.status.busy
    box.style.height = "0"
    const room = focused() ? 168 : 92 // while nobody types: what was generated stands in the timeline
    const needed = Math.max(box.scrollHeight, ghost.hidden ? 0 : mirror.scrollHeight)
    if (needed > room) ghost.hidden = true
    box.style.height = `${Math.min(needed, room)}px`
    if (!focused()) box.scrollTop = box.scrollHeight
    field.classList.toggle("over", !focused() && needed > room)
    mirror.scrollTop = box.scrollTop
    run.hidden = !dirty()
    field.classList.toggle("dirty", dirty())
  }
  const focused = () => box.getRootNode().activeElement === box
  const clean = (text) => (text.toWellFormed ? text.toWellFormed() : text)
  let asked = null // the request whose text is on its way to the server: until it is heard, a text that comes is an older one
  const ask = (kind, text, more = {}) => {
    known = text
    globalThis.txAsked = (globalThis.txAsked ?? 0) + 1 // one count per page, which may show several bars
    asked = `${performance.timeOrigin}/${globalThis.txAsked}`
    send(kind, {text, asked, ...more})
  }
  const take = () => {
    if (asked !== null) return
    if (!dirty() || box.value === model.text) box.value = model.text // what somebody is typing is never overwritten
    known = model.text
    grow()
  }
  const submit = () => {
    const text = clean(box.value)
    if (box.value !== text) box.value = text
    ask("run", text)
    grow()
  }
  // A long prompt that is left becomes smaller, and all below it moves up: not before the click that left it has arrived.
  const left = () => {
    if (document.querySelector(":active")) addEventListener("pointerup", () => setTimeout(grow), {once: true})
    else grow()
  }
  for (const [name, act] of [
    ["input", grow],
    ["focus", grow],
    ["blur", left],
  ])
    box.addEventListener(name, act)
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
  const examples = popover("☰", w.examples, {
    class: "icon",
    sheet: "examples",
    fill: () => {
      examples.sheet.replaceChildren(
        h("p", null, w.examples),
        ...model.info.examples.map((text) =>
          h(
            "button",
            {
              type: "button",
              class: "item",
              onclick: () => {
                box.value = text
                submit()
                examples.show(false)
                box.focus()
              },
            },
            text,
          ),
        ),
      )
    },
  })

  // --- sampling ----------------------------------------------------------------------------------------------------
  const settings = {}
  const slider = ({key: name, words: {label}, slider: {least, most, step}}) => {
    const input = h("input", {type: "range", min: least, max: most, step, "aria-label": label})
    const shown = h("output")
    let dragging = false,
      sent = null,
      patience = 0 // what the server has not answered yet: older answers must not move the slider back
    const draw = () => {
      const value = model.settings[name]
      if (sent !== null && Math.abs(sent - value) < 1e-9) sent = null
      const free = sent === null && !dragging
      if (free) input.value = value
      paint(free ? value : input.value) // other views go farther than this slider
    }
    const paint = (value) => {
      shown.textContent = String(Math.round(value * 100) / 100)
      input.style.setProperty("--part", `${((input.value - least) / (most - least)) * 100}%`)
    }
    input.addEventListener("pointerdown", () => {
      dragging = true
    })
    input.addEventListener("pointerup", () => {
      dragging = false
      draw()
    })
    input.addEventListener("input", () => {
      sent = Number(input.value)
      clearTimeout(patience)
      patience = setTimeout(() => {
        sent = null
        draw()
      }, 10000) // it will not come any more, such as after a refusal
      paint(sent)
      send("set", {[name]: sent})
    })
    settings[name] = draw
    return h("label", {class: "slider"}, h("span", null, label), input, shown)
  }
  const numeric = (name, label, least, most, step, hint) => {
    const input = h("input", {type: "number", min: least, max: most, step, "aria-label": label})
    let typing = false // what somebody is typing is never overwritten
    input.addEventListener("input", () => {
      typing = true
    })
    input.addEventListener("change", () => {
      typing = false
      if (input.value === "") return settings[name]()
      input.value = Math.max(least, Math.min(most, Number(input.value))) // what holds, not what lies beyond the end
      send("set", {[name]: Number(input.value)})
    })
    input.addEventListener("blur", () => {
      typing = false
      settings[name]()
    })
    settings[name] = () => {
      if (!typing) input.value = Math.round(model.settings[name] * 1e6) / 1e6
      count()
    }
    return h("label", {class: "numeric"}, h("span", null, label), input, h("small", null, hint))
  }
  const boxed = model.stages.filter((stage) => !stage.in_bar)
  const count = () => {
    // what is on there should not be hidden
    const n = boxed.filter(({key, off}) => Math.abs(model.settings[key] - off) > 1e-9).length
    const title = n ? `${w.sampling_title}: ${w.sampling_on.replace("{n}", n)}` : w.sampling_title
    more.opener.replaceChildren(w.sampling, n ? h("b", {class: "on"}, String(n)) : "")
    more.opener.title = title
    more.opener.setAttribute("aria-label", title)
  }
  const more = popover(w.sampling, w.sampling_title, {class: "quiet", sheet: "settings"})
  const inline = h("div", {class: "sliders"}, model.stages.filter((stage) => stage.in_bar).map(slider))
  const box_of = ({key, least, most, slider: {step}, words: {label, hint}}) => numeric(key, label, least > 0 ? step : 0, most, step, hint)
  more.sheet.append(...boxed.map(box_of), numeric("seed", w.seed, 0, 2 ** 52, 1, w.seed_hint))

  // --- generate ----------------------------------------------------------------------------------------------------
  const amount = h(
    "select",
    {"aria-label": w.amount, title: w.amount},
    [1, 5, 10, 20, 30, 50, 100, 0].map((n) => h("option", {value: n, selected: n === 10}, n ? `+${n}` : w.until_end)),
  )
  let stopping = false // heard, and on its way to where the model runs
  const generate = h("button", {
    type: "button",
    class: "primary",
    onclick: () => {
      if (model.status.busy && model.status.generating) {
        stopping = true
        drawStatus()
        return send("cancel")
      } // it says Stop only then
      if (dirty()) ask("generate", clean(box.value), {n: Number(amount.value)})
      else send("generate", {n: Number(amount.value)})
      grow()
    },
  })
  const append = button("+1", w.append_title, () => send("append"), {class: "icon", "aria-label": `+1: ${w.append_title}`})
  const undo = button("↶", w.undo, () => send("undo"), {class: "icon"})
  const redo = button("↷", w.redo, () => send("redo"), {class: "icon"})
  const talk = button(w.chat, w.chat_title, () => send("chat", {on: !model.info.chat}), {class: "quiet talk", hidden: true})

  const share = sharing(model, send)
  const theme = button("◐", w.theme, () => send("theme"), {class: "icon"})

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
    button("×", w.dismiss, () => send("dismiss"), {class: "icon"}),
  )
  const status = h(
    "div",
    {class: "status"},
    said,
    working,
    h(
      "div",
      {class: "look"},
      steppers.map((s) => s.root),
    ),
  )

  el.append(
    h(
      "header",
      {class: "bar", role: "banner"},
      h(
        "div",
        {class: "top"},
        h("h1", {class: "logo"}, "txpanel"),
        models.root,
        h("div", {class: "prompt"}, field, h("span", {id: "hint", class: "unseen"}, w.hint)),
        h("div", {class: "tools"}, talk, examples.root, undo, redo, share),
        h("div", {class: "sampling"}, inline, more.root),
        h("div", {class: "go"}, append, h("span", {class: "split"}, generate, amount)),
        theme,
      ),
      status,
      banner,
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
    talk.hidden = model.info.chat == null
    talk.setAttribute("aria-pressed", String(Boolean(model.info.chat)))
    grow()
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
    said.hidden = !working.hidden
    banner.hidden = !(error || notice)
    banner.classList.toggle("notice", !error)
    banner.firstChild.textContent = error || notice || ""
    field.classList.toggle("busy", busy && !progress)
    stopping &&= Boolean(busy && generating)
    generate.textContent = stopping ? w.stopping : busy && generating ? w.stop : w.generate
    generate.title = busy && generating ? w.stop : w.generate_title
    generate.disabled = !ready
    append.disabled = !ready || busy || !model.next.text
    undo.disabled = !model.status.can_undo
    redo.disabled = !model.status.can_redo
    grow()
  }
  const drawNext = () => {
    const {text, p} = model.next
    ghost.textContent = text
    ghost.title = text ? w.ghost.replace("{p}", percent(p)) : ""
    ghost.setAttribute("aria-label", text ? `${text}: ${ghost.title}` : "")
    drawStatus()
  }
  model.on("text", take)
  model.on("heard", () => {
    if (model.heard === asked) {
      asked = null
      take()
    }
  })
  model.on("info", drawInfo)
  model.on("status", drawStatus)
  model.on("next", drawNext)
  model.on("settings", () => Object.values(settings).forEach((draw) => draw()))
  model.on("place", () => steppers.forEach((s) => s.draw()))
  box.value = model.text
  drawInfo()
  drawNext()
  Object.values(settings).forEach((draw) => draw())
  steppers.forEach((s) => s.draw())
  // On a phone only the last row (block, head, token) stays when the page is scrolled; all of it while somebody is in it, or something went wrong.
  const look = status.querySelector(".look")
  let inside = false
  const stick = () => {
    const whole = inside || !banner.hidden || el.clientWidth > 640 || look.offsetHeight > 80
    const above = look.getBoundingClientRect().top - el.getBoundingClientRect().top
    view.el.style.top = whole ? "0" : `${-Math.max(0, Math.round(above) - 6)}px`
  }
  for (const [kind, now] of [
    ["focusin", true],
    ["focusout", false],
  ]) {
    el.addEventListener(kind, (event) => {
      inside = now && !look.contains(event.target) && event.target.matches(":focus-visible")
      stick()
    })
  }
  new MutationObserver(stick).observe(banner, {attributes: true})
  new ResizeObserver(stick).observe(el)
  new ResizeObserver(() => {
    grow()
    el.style.setProperty("--bar", `${el.offsetHeight}px`)
  }).observe(field)
  document.fonts?.ready.then(grow)
}
