// The bar at the top of the page while its server cannot be reached. It is outside of what Bokeh draws, and needs no server.

import {keepConnection, spread} from "../../compat/kept_connection.js"
import {h} from "../../toolkit/elements.js"
import {whileItStands} from "../../toolkit/first_picture.js"
import {patch} from "../../toolkit/patch.js"
import {scroller} from "../../toolkit/scroller.js"
import {above, away, behind, connectionState, handedOver, leave, onConnection, setConnection} from "./state.js"

const PATIENCE = 300 // milliseconds without connection before the page says so
const FOLLOW = 200 // milliseconds between two checks of the bar's place
const BACK = 2500 // milliseconds for which the page says that it is connected again
const OFTEN = 10000 // milliseconds between two times that a page reloads itself, at least
const LONGEST_TEXT = 1000 // characters of a text in the address; a longer one is sent when the page has loaded
const REOPENED = "txpanel-reopened"

let kept // one for the page: it stays when this component is drawn again

export function render({model, view, el}) {
  const bar = notice(model, el)
  let waits = 0 // timer until the bar appears
  let fades = 0 // timer until it disappears
  let shown = null // what the bar says
  const draw = () => {
    document.documentElement.style.setProperty("--tx-behind", behind() ? ".45" : "1")
    clearTimeout(waits)
    const say = () => {
      clearTimeout(fades)
      shown = connectionState()
      bar.say(shown, behind())
    }
    if (away()) {
      if (shown) say()
      else waits = setTimeout(say, PATIENCE)
    } else if (shown) {
      const lost = shown === "lost"
      shown = null
      if (lost) bar.say("open", false)
      fades = setTimeout(bar.hide, lost ? BACK : 0)
    }
  }
  const deaf = onConnection(draw)
  const told = (state) => {
    setConnection(state)
    if (state === "gone") reopen(el)
  }
  kept ??= keepConnection(view.model.document, () => model.send_msg({kind: "connection"}), told)
  bar.onretry = () => kept?.hurry()
  model.on("remove", () => {
    deaf()
    bar.remove()
  })
  scrollBack(el)
}

// Before there is a connection the first picture keeps clicks and keys. If none comes, the page is reloaded as soon as the server answers, but by itself
// at most once in `AGAIN` ms: behind a proxy that lets no websockets through it would do so forever.
const AGAIN = 60000
const KNOCK = 1500
whileItStands((given, stage) => {
  const bar = notice(given, stage)
  let knocks = 0 // timer
  const again = () => {
    clearTimeout(knocks)
    reopen(stage)
  }
  bar.onretry = again
  const knock = async () => {
    const there = await fetch(import.meta.url, {method: "HEAD", cache: "no-store"}).then(
      (answer) => answer.ok,
      () => false,
    )
    if (there && Date.now() - (Number(read(REOPENED)) || 0) > AGAIN) again()
    else knocks = setTimeout(knock, KNOCK)
  }
  return {
    slow: () => bar.say("coming", false),
    lost: () => {
      setConnection("lost")
      bar.say("lost", false)
      knock()
    },
    end: () => {
      clearTimeout(knocks)
      bar.remove()
    },
  }
})

function notice(model, el) {
  const host = h("div", {class: "tx-connection"})
  const text = h("span")
  const retry = h("button", {type: "button", onclick: () => made.onretry?.()}, model.words.retry)
  const bar = h("div", {class: "notice", role: "status", "aria-live": "polite"}, h("i", {"aria-hidden": "true"}), text, retry)
  const root = host.attachShadow({mode: "open"})
  root.append(h("style", null, model.css), bar)
  document.body.append(host)
  const place = () => {
    // Over the page's first line, where there are no numbers and no text field; once that has scrolled away, below what remains of the top bar.
    bar.style.top = above.top() > -4 ? "4px" : `${Math.max(0, Math.min(above.bottom(), innerHeight / 2)) + 8}px`
  }
  let places = 0 // timer: its place changes when the page is scrolled or the prompt grows
  const made = {
    onretry: null,
    say: (state, older) => {
      place()
      clearInterval(places)
      places = setInterval(place, FOLLOW)
      host.style.colorScheme = getComputedStyle(el).colorScheme
      bar.dataset.state = state
      retry.hidden = state !== "lost"
      patch(text, [[model.words[state], older && model.words.behind].filter(Boolean).join(" ")])
    },
    hide: () => {
      clearInterval(places)
      delete bar.dataset.state
      patch(text, [])
    },
    remove: () => {
      clearInterval(places)
      host.remove()
    },
  }
  return made
}

// The server was restarted or has ended this session: loads the same page again, with what was typed.
function reopen(el) {
  const last = Number(read(REOPENED)) || 0
  const wait = Math.max(0, last + OFTEN - Date.now()) + 400 * spread()
  setTimeout(() => {
    const {words, text} = leave({scroll: scroller(el)?.scrollTop ?? 0})
    const address = new URL(location.href)
    const said = address.searchParams
    for (const [name, value] of Object.entries(words ?? {})) said.set(name, value)
    if (typeof text === "string" && text && text.length <= LONGEST_TEXT) {
      said.set("text", text) // else the page would begin with the earlier text
      for (const name of ["film", "why", "query", "key"]) said.delete(name)
    }
    try {
      sessionStorage.setItem(REOPENED, String(Date.now()))
    } catch {
      // no storage here
    }
    history.replaceState(history.state, "", address)
    location.reload()
  }, wait)
}

function read(name) {
  try {
    return sessionStorage.getItem(name)
  } catch {
    return null
  }
}

function scrollBack(el) {
  const {scroll} = handedOver()
  if (!scroll) return
  const end = performance.now() + 20000
  let over = false
  const stop = () => {
    over = true
  }
  for (const kind of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(kind, stop, {once: true, passive: true})
  const look = () => {
    if (over || performance.now() > end) return
    const node = scroller(el)
    if (node && node.scrollHeight - node.clientHeight >= scroll) node.scrollTop = scroll
    else setTimeout(look, 200)
  }
  setTimeout(look, 200)
}
