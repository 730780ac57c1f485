import assert from "node:assert/strict"
import {beforeEach, mock, test} from "node:test"
import {keepConnection} from "../../txpanel/compat/kept_connection.js"

let clock, sockets, told

class Socket {
  static OPEN = 1
  constructor(url) {
    Object.assign(this, {url, readyState: 0, sent: []})
    sockets.push(this)
  }
  send(frame) {
    this.sent.push(frame)
  }
  close() {
    this.readyState = 3
  }
  // what the server does
  accept() {
    this.readyState = Socket.OPEN
    this.onopen?.()
  }
  say(text) {
    this.onmessage?.({data: text})
  }
  end(code) {
    this.readyState = 3
    this.onclose?.({code})
  }
}

// A page whose connection is kept
function page() {
  class ClientConnection {
    send() {}
    _on_message() {}
    connect() {}
  }
  const document = {}
  const connection = Object.assign(new ClientConnection(), {session: {document}, socket: new Socket("ws://here/ws"), url: "ws://here/ws"})
  connection.socket.readyState = Socket.OPEN
  globalThis.Bokeh = {version: "test", require: () => ({ClientConnection})}
  keepConnection(
    document,
    () => connection.send("hello"),
    (state) => told.push(state),
  )
  sockets[0].say('txpanel {"kind":"begun"}')
  return connection
}

function pass(milliseconds) {
  for (let i = 0; i < milliseconds; i += 50) {
    clock += 50
    mock.timers.tick(50)
  }
}

// Another socket is tried.
function tried(n) {
  for (let looks = 0; sockets.length <= n; looks++) {
    assert.ok(looks < 1000, "no further socket is tried")
    pass(50)
  }
  sockets[n].accept()
  return sockets[n]
}

beforeEach(() => {
  clock = 1000
  sockets = []
  told = []
  mock.timers.reset()
  mock.timers.enable({apis: ["setInterval"]})
  globalThis.WebSocket = Socket
  globalThis.document = {hidden: false, scripts: [], addEventListener() {}, removeEventListener() {}}
  globalThis.addEventListener = globalThis.removeEventListener = () => {}
  Object.defineProperty(globalThis, "performance", {value: {now: () => clock}, configurable: true})
})

test("frames that the server has not received are sent again on another socket", () => {
  const connection = page()
  sockets[0].end(1006)
  connection.socket.send("typed meanwhile")
  assert.deepEqual(told, ["lost"])
  tried(1).say('txpanel {"kind":"resumed","got":0}')
  assert.ok(sockets[1].sent.includes("typed meanwhile"))
  assert.deepEqual(told, ["lost", "open"])
})

test("a message that is too large for the server is not sent again", () => {
  page().socket.send("large")
  sockets[0].end(1009)
  pass(60000)
  assert.deepEqual(told, ["gone"])
  assert.equal(sockets.length, 1)
})

test("when the server has too many new sockets, the page waits and keeps its frames", () => {
  const connection = page()
  connection.socket.send("typed")
  sockets[0].end(1006)
  for (let tries = 1; tries <= 12; tries++) {
    tried(tries).end(1013)
  }
  assert.ok(clock > 25000, "no faster than once in two seconds")
  tried(13).say('txpanel {"kind":"resumed","got":0}')
  assert.ok(sockets[13].sent.includes("typed"))
  assert.deepEqual(told, ["lost", "open"])
})

test("a server that answers and keeps refusing the page has no session of it", () => {
  page()
  sockets[0].end(1006)
  for (let tries = 1; tries <= 3; tries++) {
    tried(tries).end(1000)
  }
  assert.deepEqual(told, ["lost", "gone"])
})
