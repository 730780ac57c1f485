// The timeline of generated tokens. The server decides which token is the current one; scrubbing shows its place at once, before the server has answered.
import {hold, settled} from "../../compat/paint_queue.js"
import {alone, h, s} from "../../toolkit/elements.js"
import {hear, say} from "../../toolkit/page_events.js"
import {offer} from "../../toolkit/page_parts.js"
import {isSaved} from "../../toolkit/saved_page.js"
import {isDark, onTheme, reducedMotion} from "../../toolkit/theme.js"
import {tokenChips} from "./chips.js"
import {branchComparison} from "./compare.js"
import {nextTokens} from "./next.js"
import {branchList, COLUMN, MOST_BITS, scrubber} from "./parts.js"

export function render({model, view, el}) {
  const w = model.words
  const send = (kind, value) => model.send_msg({kind, value})
  const button = (label, title, onclick, more = {}) => h("button", {type: "button", title, "aria-label": title, onclick, ...more}, label)
  let line = model.line,
    local = null,
    wanted = null,
    asked = null,
    patience = 0,
    playing = 0
  let mode = "probability",
    dark = isDark(el)

  // --- where we are --------------------------------------------------------------------------------------------------
  const place = () => Math.max(0, line.findIndex((token) => token[COLUMN.NODE] === model.place.at) + 1)
  const at = () => Math.min(local ?? place(), line.length)
  const node = (i) => (i ? line[i - 1][COLUMN.NODE] : 0)
  const pump = () => {
    if (asked !== null || wanted === null) return
    if (wanted === model.place.at) {
      wanted = local = null
      return
    }
    asked = wanted
    send("go", wanted)
    clearTimeout(patience)
    patience = setTimeout(() => {
      asked = null
      wanted = local = null
      draw()
    }, 8000)
  }
  const go = (i) => {
    const to = Math.max(0, Math.min(line.length, i))
    if (to === at()) return
    if (isSaved()) return send("go", node(to)) // on a saved page the other pictures cannot follow to another token, so the timeline stays too
    local = to
    wanted = node(to)
    draw()
    pump()
  }
  const stop = () => {
    clearTimeout(playing)
    playing = 0
    draw()
  }
  const play = () => {
    if (isSaved()) return send("go", 0)
    const next = () => {
      if (local === null) {
        if (at() >= line.length) return stop()
        go(at() + 1)
      }
      playing = setTimeout(next, Math.max(120, Number(pace.value) * 1000))
    }
    if (playing) return stop()
    if (at() >= line.length) go(0)
    playing = setTimeout(next, 60)
    draw()
  }

  // --- controls --------------------------------------------------------------------------------------------------------
  const icon = (path) =>
    s("svg", {viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true"}, s("path", {d: path, fill: "currentColor"}))
  const PLAY = "M4 2l10 6-10 6z",
    PAUSE = "M3 2h4v12H3zM9 2h4v12H9z"
  const first = button(icon("M2 2h2v12H2zM14 2v12L5 8z"), w.first, () => go(0), {class: "icon"})
  const toggle = button(icon(PLAY), w.play, play, {class: "icon play"})
  const last = button(icon("M12 2h2v12h-2zM2 2v12l9-6z"), w.last, () => go(line.length), {class: "icon"})
  const step = h("span", {class: "step"})
  const pace = h(
    "select",
    {"aria-label": w.pace, title: w.pace, onchange: () => send("pace", Number(pace.value))},
    w.paces.split("|").map((text, i) => h("option", {value: [0, 0.25, 0.5, 1][i]}, text)),
  )
  const modes = ["probability", "surprisal"].map((name) =>
    button(
      w[name],
      `${w.colour}: ${w[name]}`,
      () => {
        mode = name
        draw()
        drawCompare()
      },
      {class: "mode", "data-mode": name},
    ),
  )
  const ramp = h("i", {class: "ramp"})
  const ends = [h("span"), h("span")]
  const legend = h("div", {class: "legend"}, ends[0], ramp, ends[1])
  const why = h("span", {class: "ended", role: "status"})

  // --- track and chips ---------------------------------------------------------------------------------------------------
  const {
    chips,
    tip,
    tell,
    draw: drawChips,
  } = tokenChips(model, w, {
    now: () => ({line, i: at(), mode, dark}),
    go: (i) => {
      stop()
      go(i)
    },
  })
  const track = scrubber(w, {
    go: (i) => {
      stop()
      go(i)
    },
    hover: (i, x) => tell(i, x, track.canvas.getBoundingClientRect().bottom + 4),
  })
  const keys = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity}
  const press = (event) => {
    if (event.key === " " && event.target === track.canvas) {
      event.preventDefault()
      play()
    }
    if (!(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    stop()
    go(at() + keys[event.key])
    if (event.target !== track.canvas) chips.querySelector("[aria-current=true]")?.focus()
  }
  track.canvas.addEventListener("keydown", press)
  chips.addEventListener("keydown", press)

  // --- what can come next, and the branches --------------------------------------------------------------------------------
  const next = nextTokens(model, (token) => {
    stop()
    send("take", token)
  })
  const branches = h("section", {class: "branches", hidden: true})
  const drawBranches = () => {
    const buttons = () => [...branches.querySelectorAll(".branch")]
    const at = buttons().indexOf(branches.getRootNode().activeElement)
    branches.hidden = model.branches.length < 2
    branches.replaceChildren(
      ...(branches.hidden
        ? []
        : branchList(
            model.branches,
            model.compare.sides?.[1].leaf,
            w,
            (leaf) => {
              stop()
              send("switch", leaf)
            },
            (leaf) => send("compare", leaf),
          )),
    )
    buttons()[at]?.focus()
  }
  const compare = h("section", {class: "compare", hidden: true, "aria-label": w.compared})
  let beside = 0 // the leaf of the branch that is compared, or was compared last
  const drawCompare = () => {
    const before = compare.hidden
    const focused = compare.contains(compare.getRootNode().activeElement)
    beside = model.compare.sides?.[1].leaf ?? beside
    // It takes the place of the unfolded part, with the same height, so that what is below moves only if it needs more.
    if (before && model.compare.sides) {
      root.style.minHeight = `${root.offsetHeight}px`
      compare.style.maxHeight = `max(${root.offsetHeight - 2}px, min(78vh, 640px))`
    }
    if (!model.compare.sides) root.style.minHeight = ""
    compare.hidden = !model.compare.sides
    root.classList.toggle("comparing", !compare.hidden)
    compare.replaceChildren(...(compare.hidden ? [] : branchComparison(model.compare, {w, mode, dark}, () => send("compare", 0))))
    if (before && !compare.hidden) compare.querySelector("button").focus({preventScroll: true})
    if (before || !compare.hidden) return
    draw() // hidden behind the comparison, the timeline could not scroll to the current token
    if (focused) (branches.querySelector(`[data-leaf="${beside}"]`) ?? more).focus({preventScroll: true})
  }

  // --- together: one line beside the prompt, and what it unfolds --------------------------------------------------------------
  let open = false
  const more = h("button", {
    type: "button",
    class: "unfold",
    "data-alone": true,
    "aria-expanded": "false",
    onclick: () => {
      open = !open
      draw()
    },
  })
  const details = h(
    "div",
    {class: "details", hidden: true},
    h(
      "div",
      {class: "controls"},
      h("label", {class: "speed"}, w.pace, " ", pace),
      h("span", {class: "colours"}, h("span", {class: "modes", role: "group", "aria-label": w.colour}, modes), legend),
    ),
    next.root,
    branches,
  )
  const root = h(
    "section",
    {class: "timeline", "aria-label": w.timeline},
    h("div", {class: "line"}, h("span", {class: "buttons"}, first, toggle, last), step, chips, track.canvas, why, more),
    details,
    compare,
    tip,
  )
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || compare.hidden) return
    event.stopPropagation()
    send("compare", 0)
  })
  el.append(root)
  // The timeline appears with the click on Generate, before the first token comes, and stays until another text is run.
  let stays = false // shown although there are no tokens
  let leaves = false // another text is being run: until its tokens come, those of the previous text are shown
  const writing = hear("writing", view, (on) => {
    stays = on
    leaves = !on
    draw()
  })
  const tellLined = () => say(el, "lined", !root.classList.contains("none"))
  const whoAsks = hear("asklined", view, tellLined)
  const offered = offer(view, {timeline: () => (line.length ? root : null)})
  model.on("remove", () => {
    writing()
    whoAsks()
    offered()
  })
  const draw = () => {
    const [i, n] = [at(), line.length]
    root.classList.toggle("bare", !n)
    const nothing = !n && !model.prompt.strings?.length
    if (nothing) leaves = false
    else if (!leaves) stays = true
    root.classList.toggle("empty", nothing)
    root.classList.toggle("none", nothing && !stays)
    tellLined()
    root.classList.toggle("open", open)
    details.hidden = !open || !n
    more.setAttribute("aria-expanded", String(open))
    const told = model.branches.length > 1 ? w.many_branches.replace("{n}", model.branches.length) : w.details
    more.textContent = `${told} ${open ? "▴" : "▾"}`
    step.textContent = i ? w.step.replace("{i}", i).replace("{n}", n) : w.start
    toggle.replaceChildren(icon(playing ? PAUSE : PLAY))
    toggle.title = playing ? w.pause : w.play
    toggle.setAttribute("aria-label", toggle.title)
    first.disabled = i === 0
    last.disabled = i === n
    modes.forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.mode === mode)))
    ramp.className = `ramp ${mode}`
    ends[0].textContent = "0"
    ends[1].textContent = mode === "probability" ? "1" : `${MOST_BITS} ${w.bits}`
    why.textContent = open ? model.ended : model.ended_brief
    why.title = model.ended
    next.root.classList.toggle("stale", Boolean(model.place.stale))
    track.paint(line, i, el)
    drawChips()
  }
  // A new token moves from its place among the candidates to its chip
  const fly = () => {
    const fresh = chips.querySelector(`[data-i="${line.length}"]`)
    const from = next.root.querySelector(".choice.drawn")
    if (!fresh || !from || reducedMotion() || from.querySelector("b").textContent !== alone(fresh.textContent)) return
    const [a, b] = [from.getBoundingClientRect(), fresh.getBoundingClientRect()]
    fresh.animate(
      [
        {transform: `translate(${a.left - b.left}px,${a.top - b.top}px)`, opacity: 0.6},
        {transform: "none", opacity: 1},
      ],
      {duration: 300, easing: "cubic-bezier(.3,.8,.3,1)"},
    )
  }
  model.on("line", () => {
    const grown = model.line.length === line.length + 1
    line = model.line
    draw()
    if (grown) fly()
  })
  model.on("added", () => {
    const {begin: from, items} = model.added
    if (items === undefined) {
      // tokens that were sent one by one are withdrawn. The line is then the last one sent as a whole, which Panel does not send again
      if (line !== model.line) {
        line = model.line
        draw()
      }
      return
    }
    if (from > line.length) {
      send("sync", 0)
      return
    }
    line = [...line.slice(0, from), ...items]
    local = wanted = null
    draw()
    fly()
  })
  model.on("place", () => {
    if (!model.place.busy || model.place.at === asked) {
      asked = null
      clearTimeout(patience)
    }
    if (wanted !== null && wanted === model.place.at) wanted = local = null
    draw()
    pump()
    hold(model.place.busy)
    if (model.place.busy && line.length) {
      // the server goes on to the next token when this one is on the screen; clicks are handled between the two
      const told = () => send("seen", model.place.at)
      const painted = (left) => (left && !settled() ? setTimeout(painted, 30, left - 1) : told())
      // if pictures come with this step (in a message of their own): when those on the screen are painted
      const done = () => (model.place.stale ? setTimeout(told) : setTimeout(painted, 50, 30))
      document.hidden ? done() : requestAnimationFrame(done)
    }
  })
  model.on("prompt", draw)
  model.on("scored", draw)
  model.on(["ended", "ended_brief"], draw)
  model.on("next", next.draw)
  model.on("branches", () => {
    drawBranches()
    draw()
  })
  model.on("compare", () => {
    drawBranches()
    drawCompare()
  })
  onTheme(el, (on) => {
    dark = on
    draw()
    drawCompare()
  })
  new ResizeObserver(() => track.paint(line, at(), el)).observe(track.canvas)
  if (model.added.items && model.added.begin <= line.length) line = [...line.slice(0, model.added.begin), ...model.added.items]
  next.draw()
  drawBranches()
  drawCompare()
  draw()
  send("hello", 0)
}
