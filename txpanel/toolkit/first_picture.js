// What is on screen first is drawn from data in the page itself, before Bokeh runs: each part by its own module, on a model that stands in for the
// real one. When Bokeh has made the real ones, and all of them have their place, the elements move there in one step, and go on as they are.
import {h, released} from "./elements.js"
import {focused} from "./focus.js"
import {scroller} from "./scroller.js"

// Milliseconds for the real ones to come to the places where the first picture stands; then it moves all the same, but never before the server
// has been told that the page is idle: clicks made meanwhile would be lost.
const LONGEST = 6000
const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
}

const plain = (value) => value !== null && typeof value === "object"

export function decoded(value) {
  if (Array.isArray(value)) return value.map(decoded)
  if (!plain(value)) return value
  if (typeof value.$bytes !== "string") return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, decoded(one)]))
  const bytes = Uint8Array.from(atob(value.$bytes), (letter) => letter.charCodeAt(0))
  return Object.assign(new ARRAYS[value.dtype](bytes.buffer), {dtype: value.dtype, shape: value.shape})
}

export function same(a, b) {
  if (Object.is(a, b)) return true
  if (!plain(a) || !plain(b)) return false
  const list = (one) => Array.isArray(one) || ArrayBuffer.isView(one)
  if (list(a) !== list(b)) return false
  if (list(a)) return a.length === b.length && a.every((one, i) => same(one, b[i]))
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => name in b && same(a[name], b[name]))
}

// A model like those of Panel's components, until `become` gives it the real one, to which it then passes on what it was sent, in order.
export function standIn(values) {
  const hearers = []
  const said = []
  const own = new Set() // what the module itself has set
  let real = null
  const tell = (named) => {
    for (const [names, call] of hearers) if ([names].flat().some((name) => named.has(name))) call()
  }
  const given = {
    isFirst: true, // the first drawing: no change, so nothing is animated
    on: (names, call, ...more) => (real ? real.on(names, call, ...more) : hearers.push([names, call, ...more])),
    off: (names, call) => {
      if (real) return real.off(names, call)
      const at = hearers.findIndex((one) => one[1] === call)
      if (at >= 0) hearers.splice(at, 1)
    },
    send_msg: (message) => (real ? real.send_msg(message) : said.push(message)),
  }
  const model = new Proxy(given, {
    get: (_given, name) => given[name] ?? (name in values ? values[name] : real?.[name]),
    has: (_given, name) => name in given || name in values || Boolean(real && name in real),
    set: (_given, name, value) => {
      if (real) real[name] = value
      else {
        values[name] = value
        own.add(name)
        tell(new Set([name]))
      }
      return true
    },
  })
  const become = (now) => {
    real = now
    given.isFirst = false
    const other = new Set()
    for (const name of own) {
      const value = values[name]
      delete values[name]
      real[name] = value
    }
    for (const name of Object.keys(values)) {
      if (same(values[name], real[name]))
        real.on(name, () => delete values[name]) // until it changes it stays the same object: what is drawn compares by identity
      else {
        delete values[name]
        other.add(name)
      }
    }
    for (const hearer of hearers) real.on(...hearer)
    tell(other)
    for (const message of said) real.send_msg(message)
  }
  return {model, become}
}

const parts = new Map() // by the module's name
let stage = null
let began = 0

// Sets the bar that says that the page is not live yet: `begin(data, stage)` is called when the first picture is drawn, with the page's data for it,
// and returns functions {slow, lost, end}, called when it takes long, when no connection came, and when the page is live.
let watcher = null
export const whileItStands = (begin) => {
  watcher = begin
}
const SLOW = 4000
let stands = null
function watch(data) {
  if (!watcher || !data) return
  const said = watcher(data, stage)
  const slow = setTimeout(said.slow, SLOW)
  // Bokeh tries to connect once, and does not report a failure: so the socket itself is watched
  const Own = globalThis.WebSocket
  globalThis.WebSocket = class extends Own {
    constructor(...given) {
      super(...given)
      this.addEventListener("close", () => {
        clearTimeout(slow)
        if (stands) said.lost()
      })
    }
  }
  stands = () => {
    stands = null
    clearTimeout(slow)
    globalThis.WebSocket = Own
    said.end()
  }
}

// Draws the first picture, if the page has data for one: all of its parts or none.
export function drawFirst(components) {
  const data = document.getElementById("tx-first-data")
  if (!data || stage) return
  stage = document.getElementById("tx-first")
  try {
    const {parts: all, aside} = JSON.parse(data.textContent)
    drawParts(components, all)
    watch(aside)
  } catch (error) {
    console.error(error)
    stage.remove()
    parts.clear()
  }
  data.remove()
}

function drawParts(components, all) {
  for (const {key, place, css, styles, values} of all) {
    const host = h("div", {class: "part"})
    Object.assign(host.style, styles)
    const el = h("div")
    host.attachShadow({mode: "open"}).append(...css.map((text) => h("style", null, text)), el)
    ;(place ? stage.querySelector(`.${place}`) : stage).append(host)
    const {model, become} = standIn(decoded(values))
    const view = {el: host}
    parts.set(key, {host, el, become, view})
    components[key].draw({model, view, el})
  }
}

// Whether a part is drawn already: then the real one keeps its place free, and takes it over with all others.
export function takenOver(key, {model, view, el}) {
  const part = parts.get(key)
  if (!part || part.real) return false
  part.real = {model, view, el}
  part.gap = h("div", {style: `height:${part.host.offsetHeight}px`}) // of the host, not of its element, whose negative margin must not count
  el.append(part.gap)
  if (!began) {
    began = performance.now()
    requestAnimationFrame(moveWhenThere)
  }
  return true
}

const aligned = ({host, real}) => {
  if (!real.view.el.isConnected) return false
  const [a, b] = [host.getBoundingClientRect(), real.view.el.getBoundingClientRect()]
  return Math.abs(a.left - b.left) + Math.abs(a.top - b.top) + Math.abs(a.width - b.width) < 1.5
}

// Before the page has told the server that it is idle, Panel loses what the server answers.
const told = () => globalThis.Bokeh?.documents.every((one) => one.is_idle)

function moveWhenThere() {
  const all = [...parts.values()]
  if (told() && (performance.now() - began > LONGEST || all.every((one) => one.real && aligned(one)))) moveWhenReleased()
  else requestAnimationFrame(moveWhenThere)
}

// Not while a button or slider is pressed: it would lose its drag or click.
const moveWhenReleased = () => released(stage, move)

function move() {
  const all = [...parts.values()].filter((part) => part.real)
  if (!all.length) return
  stands?.()
  const scrolled = stage.scrollTop // lost when its elements are moved
  const active = focused()
  // of text fields only: a slider has no selection, and setting one would raise an error
  const marked = Number.isInteger(active?.selectionStart) && [active.selectionStart, active.selectionEnd, active.selectionDirection]
  for (const part of all) {
    const {view, el} = part.real
    part.gap.replaceWith(part.el)
    Object.defineProperty(part.view, "el", {get: () => view.el})
    Object.defineProperty(part.view, "parent", {get: () => view.parent})
    el.dataset.live = ""
  }
  scroller(all[0].real.view.el).scrollTo(0, scrolled)
  stage.remove()
  if (active?.isConnected && active !== document.body) active.focus({preventScroll: true})
  if (marked && active.isConnected) active.setSelectionRange(...marked)
  for (const part of all) part.become(part.real.model)
  parts.clear()
}
