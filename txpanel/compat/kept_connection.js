// The browser's half of kept_connections.py: Bokeh's connection outlives the socket under it. Frames are counted and kept until the server has them; when a
// socket breaks, another one is opened, frames that were lost are sent again, and neither Bokeh nor a view notices.
//
// Versions: Bokeh 3.9 to 3.10.
// Reason: correctness; what is typed or clicked while the connection is away is lost otherwise.
// Upstream: bokeh/bokeh, bokehjs/src/lib/client/connection.ts, ClientConnection: reconnecting draws the page anew, from a document without its arrays.
// Test: tests/compat/test_kept_connections.py::test_bokeh_still_draws_the_whole_page_anew
import {bokehClasses} from "./own_bokeh.js"

const MARK = "txpanel "
const LOOK = 250 // milliseconds between two looks at the clock
const PING = 500
const HIDDEN_PING = 20000
const SILENT = 1900 // a ping without an answer for longer: the connection counts as silent
const DOUBT = 6000 // without an answer for longer: another socket is tried beside the silent one
const TRY_AT_MOST = 10000 // the longest that one try may take
const MOST = 6000 // frames that are kept for a server that cannot be reached
const FRAMES = 64 // frames after which the server is told that they have arrived
const TOO_BIG = 1009 // codes with which the server closes a socket: a frame is larger than it takes,
const LATER = 1013 // or too many sockets are opened at the moment
const PAUSES = [300, 700, 1000, 1500, 2000, 3000] // between two tries

// From 0 to 1, different on each page, so that the pages of a class do not all connect again at the same moment.
export const spread = () => crypto.getRandomValues(new Uint16Array(1))[0] / 2 ** 16

// Keeps the connection of a document. `ask` makes the document send a message, by which its connection is found.
// `told` is called with "open", "silent" (no answer), "lost", or "gone": the server does not have the session any more.
export function keepConnection(document, ask, told) {
  const bokeh = bokehClasses("kept_connection", {"client/connection": {ClientConnection: ["send", "_on_message", "connect"]}})
  if (!bokeh) return null
  const {ClientConnection} = bokeh
  const own = ClientConnection.prototype.send
  let kept = null
  ClientConnection.prototype.send = function (message) {
    if (!kept && this.session?.document === document && this.socket) {
      ClientConnection.prototype.send = own
      kept = new KeptConnection(this, told)
    }
    return own.call(this, message)
  }
  ask()
  return kept
}

class KeptConnection {
  constructor(connection, told) {
    this.connection = connection
    this.told = told
    this.url = connection.url
    this.token = connection.token
    this.state = "open"
    this.got = 0 // number of frames received from the server
    this.heard = 0 // how many of these the server knows to have arrived
    this.first = 0 // number of our frames that have certainly arrived
    this.kept = [] // the later ones, which may be lost
    this.begun = false
    this.asked = null // when the oldest ping was sent that has no answer
    this.pinged = 0
    this.alive = this.looked = performance.now()
    this.trying = null
    this.failures = this.refusals = 0
    this.due = 0
    this.use(connection.socket)
    this.socket.send(`${MARK}{"kind":"begin"}`)
    connection.socket = this.stand_in()
    this.timer = setInterval(() => this.look(), LOOK)
    this.soon = () => this.hurry()
    addEventListener("online", this.soon)
    globalThis.document.addEventListener("visibilitychange", this.soon)
  }

  // An object that Bokeh uses as its socket.
  stand_in() {
    return {
      readyState: WebSocket.OPEN,
      send: (frame) => this.send(frame),
      close: (code, reason) => {
        this.end()
        this.socket.close(code, reason)
      },
    }
  }

  use(socket) {
    this.socket = socket
    socket.onmessage = (event) => this.take(event)
    socket.onclose = ({code}) => this.broken(socket, code)
    socket.onerror = null
  }

  send(frame) {
    if (this.kept.length < MOST) this.kept.push(frame)
    else this.torn = true // not all frames can be sent again
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(frame)
  }

  take(event, number = this.got + 1) {
    this.alive = performance.now()
    if (typeof event.data === "string" && event.data.startsWith(MARK)) return this.hear(JSON.parse(event.data.slice(MARK.length)))
    if (this.begun && number > this.got) this.got = number
    this.connection._on_message(event)
    if (this.got - this.heard >= FRAMES) this.ping()
  }

  hear(said) {
    if (said.kind === "begun") this.begun = true
    if (said.kind !== "pong") return
    this.asked = null
    this.acknowledged(said.got)
    this.tell("open") // not given up: a try that is under way may have reached the server already
  }

  acknowledged(got) {
    this.kept.splice(0, got - this.first)
    this.first = Math.max(this.first, got)
  }

  ping() {
    if (this.socket.readyState !== WebSocket.OPEN) return
    this.pinged = performance.now()
    this.asked ??= this.pinged
    this.heard = this.got
    this.socket.send(`${MARK}{"kind":"ping","got":${this.got}}`)
  }

  look() {
    const now = performance.now()
    if (now - this.looked > 4 * LOOK) this.asked &&= now // the page itself was busy or suspended: messages that have arrived meanwhile are handled first
    this.looked = now
    if (this.socket.readyState === WebSocket.OPEN) {
      const wait = globalThis.document.hidden ? HIDDEN_PING : PING
      if (this.asked === null ? now - this.pinged >= wait : now - this.pinged >= 4 * SILENT) this.ping()
      const since = this.asked === null ? 0 : now - Math.max(this.asked, this.alive)
      if (since > SILENT) this.tell("silent")
      if (since > DOUBT) this.attempt(now)
    } else this.attempt(now)
  }

  hurry() {
    this.due = 0
    if (this.asked === null) this.ping()
    this.looked = performance.now()
    if (this.socket.readyState !== WebSocket.OPEN) this.attempt(this.looked)
  }

  broken(socket, code) {
    if (socket !== this.socket || this.ended) return
    if (code === TOO_BIG) return this.gone() // sent again, the frame would close the next socket too
    this.asked = null
    this.tell("lost")
    this.due = performance.now() + 400 * spread()
  }

  attempt(now) {
    if (this.ended) return
    if (this.trying) {
      if (now - this.begin > TRY_AT_MOST) this.trying.close()
      return
    }
    if (now < this.due) return
    const before = this.got
    const socket = new WebSocket(`${this.url}?txpanel-got=${before}`, ["bokeh", this.token])
    socket.binaryType = "arraybuffer"
    this.trying = socket
    this.begin = now
    let opened = false
    const over = ({code}) => {
      if (this.trying !== socket) return
      this.trying = null
      socket.onclose = socket.onmessage = null
      socket.close()
      if (code === LATER) {
        this.due = performance.now() + PAUSES.at(-1) * (0.7 + 0.6 * spread())
        return
      }
      this.refusals = opened ? this.refusals + 1 : 0
      this.due = performance.now() + PAUSES[Math.min(this.failures, PAUSES.length - 1)] * (0.7 + 0.6 * spread())
      this.failures += 1
      if (this.refusals >= 3 && this.socket.readyState !== WebSocket.OPEN)
        this.gone() // the server answers, but refuses this page
      else if (this.failures % 5 === 0) this.knock()
    }
    socket.onopen = () => {
      opened = true
    }
    socket.onclose = over
    socket.onmessage = ({data}) => {
      if (this.trying !== socket || typeof data !== "string" || !data.startsWith(MARK)) return
      const said = JSON.parse(data.slice(MARK.length))
      if (said.kind === "gone" || this.torn) return this.gone()
      if (said.kind === "resumed") this.resumed(socket, before, said.got)
    }
  }

  // Another socket has taken the place of the one before: the server continues after the frames that we have confirmed.
  resumed(socket, before, got) {
    const old = this.socket
    old.onmessage = old.onclose = null
    old.close()
    this.trying = null
    this.failures = this.refusals = 0
    this.use(socket)
    let number = before
    socket.onmessage = (event) => {
      const ours = typeof event.data === "string" && event.data.startsWith(MARK)
      if (!ours) number += 1
      if (ours || number > this.got) this.take(event, number) // else it has arrived on the old socket meanwhile
    }
    this.acknowledged(got)
    for (const frame of this.kept) socket.send(frame)
    this.asked = null
    this.alive = performance.now()
    this.tell("open")
    this.ping()
  }

  // Where sockets cannot be opened but the server answers (it may ask for a login), the page has to be loaded again.
  async knock() {
    const file = [...globalThis.document.scripts].find((one) => one.src.includes("/static/js/bokeh"))?.src
    if (!file || this.failures < 10) return
    try {
      const answer = await fetch(file, {method: "HEAD", cache: "no-store"})
      if (answer.ok && this.state === "lost") this.gone()
    } catch {
      // the server cannot be reached
    }
  }

  gone() {
    this.end()
    this.tell("gone")
  }

  end() {
    this.ended = true
    clearInterval(this.timer)
    removeEventListener("online", this.soon)
    globalThis.document.removeEventListener("visibilitychange", this.soon)
    if (this.trying) this.trying.onclose = this.trying.onmessage = null
  }

  tell(state) {
    if (state === this.state || (state === "silent" && this.state === "lost")) return
    this.state = state
    this.told(state)
  }
}
