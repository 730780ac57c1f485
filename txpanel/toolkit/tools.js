// Under a picture: its numbers as a table, CSV with provenance, the picture as PNG or SVG.
import {download, h, SVG, s} from "./elements.js"
import {number} from "./numbers.js"
import {isSaved} from "./saved_page.js"
import {paper, standalone} from "./svg_snapshot.js"
import {colour} from "./theme.js"
import {places, walk} from "./walk.js"

const MARGIN = 12 // of saved pictures, in pixels of the page

// The pictures beside the tools: Bokeh figures export themselves, an element with a method `asSvg` gives its own <svg>,
// any other component is copied as it is shown (svg_snapshot.js).
function pieces(view, least = 8) {
  const found = []
  const visit = (one) => {
    if (one == null || one === view) return
    if (typeof one.export === "function" && one.model?.type?.match(/Figure|Plot$/))
      return found.push({box: one.el.getBoundingClientRect(), figure: one})
    const before = found.length
    for (const child of one.child_views ?? []) visit(child)
    if (found.length > before || !one.el) return
    const own = elements(one.el).find((node) => node.asSvg)
    found.push(
      own ? {box: own.getBoundingClientRect(), node: own} : {box: one.el.getBoundingClientRect(), node: {asSvg: () => paper(one.el)}},
    )
  }
  for (const sibling of view.parent?.child_views ?? []) visit(sibling)
  return found.filter(({box}) => box.width >= least && box.height >= least)
}
function elements(node, into = []) {
  if (node instanceof SVGSVGElement || node instanceof HTMLCanvasElement || node.asSvg) into.push(node)
  else for (const child of [...(node.shadowRoot?.children ?? []), ...(node.children ?? [])]) elements(child, into)
  return into
}

// As text. A token may hold control characters, which XML does not allow at all: they are written as ⟨0B⟩.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g
const visible = (character) => `⟨${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}⟩`
const xml = (node) => new XMLSerializer().serializeToString(node).replace(CONTROL, visible)

async function asSvg(piece) {
  if (piece.figure) {
    const text = await (await piece.figure.export("svg").to_blob()).text()
    return new DOMParser().parseFromString(text, "image/svg+xml").documentElement
  }
  if (piece.node.asSvg) return piece.node.asSvg()
  if (piece.node instanceof SVGSVGElement) return standalone(piece.node, piece.box)
  return s("image", {
    href: piece.node.toDataURL(),
    width: piece.box.width,
    height: piece.box.height,
    style: {"image-rendering": "pixelated"},
  })
}
async function asImage(piece) {
  if (piece.figure) return createImageBitmap(await piece.figure.export("png", true).to_blob())
  if (piece.node instanceof HTMLCanvasElement) return piece.node
  const text = xml(await asSvg(piece))
  const image = new Image()
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`
  await image.decode()
  return image
}
function frame(list) {
  const [x, y] = [Math.min(...list.map((p) => p.box.left)) - MARGIN, Math.min(...list.map((p) => p.box.top)) - MARGIN]
  return {
    x,
    y,
    width: Math.max(...list.map((p) => p.box.right)) - x + MARGIN,
    height: Math.max(...list.map((p) => p.box.bottom)) - y + MARGIN,
  }
}

async function svgBlob(list, ground, provenance) {
  const area = frame(list)
  const root = s(
    "svg",
    {xmlns: SVG, width: area.width, height: area.height, viewBox: `0 0 ${area.width} ${area.height}`},
    s("metadata", null, provenance),
    s("rect", {width: "100%", height: "100%", fill: ground}),
  )
  for (const piece of list) {
    const part = await asSvg(piece)
    part.setAttribute("x", piece.box.left - area.x)
    part.setAttribute("y", piece.box.top - area.y)
    root.append(part)
  }
  return new Blob([xml(root)], {type: "image/svg+xml"})
}

const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
  return n
})
const crc = (bytes) => (bytes.reduce((c, b) => CRC[(c ^ b) & 255] ^ (c >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0
// An iTXt chunk (UTF-8) before IEND carries the provenance inside the PNG.
async function withText(blob, text) {
  const png = new Uint8Array(await blob.arrayBuffer())
  const body = new TextEncoder().encode(`iTXtDescription\0\0\0\0\0${text}`)
  const chunk = new Uint8Array(body.length + 8)
  const view = new DataView(chunk.buffer)
  view.setUint32(0, body.length - 4)
  chunk.set(body, 4)
  view.setUint32(body.length + 4, crc(body))
  return new Blob([png.slice(0, -12), chunk, png.slice(-12)], {type: "image/png"})
}
async function pngBlob(list, ground, provenance) {
  const area = frame(list)
  const canvas = h("canvas", {width: Math.ceil(area.width * 2), height: Math.ceil(area.height * 2)})
  const context = canvas.getContext("2d")
  context.fillStyle = ground
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.imageSmoothingEnabled = false
  for (const piece of list) {
    const {left, top, width, height} = piece.box
    context.drawImage(await asImage(piece), (left - area.x) * 2, (top - area.y) * 2, width * 2, height * 2)
  }
  return withText(await new Promise((done) => canvas.toBlob(done, "image/png")), provenance)
}

const tables = (answer) => [answer, ...(answer.more ?? [])].map(table)
function table({columns, rows, caption, note}) {
  const cell = (value, i) =>
    i === 0
      ? h("th", {scope: "row"}, typeof value === "number" ? number(value) : String(value ?? ""))
      : typeof value === "number"
        ? h("td", {class: "n", title: String(value)}, number(value))
        : h("td", null, String(value ?? ""))
  return h(
    "div",
    {class: "scroll", tabindex: "0", role: "region", "aria-label": caption},
    h(
      "table",
      null,
      h("caption", null, caption, note ? ` · ${note}` : ""),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          columns.map((name) => h("th", {scope: "col"}, name)),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map((row) => h("tr", null, row.map(cell))),
      ),
    ),
  )
}

// Makes each Bokeh figure beside the tools usable with the keyboard (walk.js) once Bokeh has made it.
function walkable(model, view, loud) {
  const seen = new Map()
  const name = () => {
    const title = (view.parent?.child_views ?? []).map((one) => one.model?.data?.heading).find((text) => text?.trim()) ?? ""
    seen.forEach((one) => {
      one.name(model.words.walk.replace("{title}", title))
      one.again()
    })
  }
  const look = (tries) => {
    if (!view.el.isConnected && tries < 60) return setTimeout(() => look(tries + 1), 500)
    for (const {figure} of pieces(view, 0)) {
      if (!figure || seen.has(figure) || !places(figure)) continue
      seen.set(
        figure,
        walk(figure, loud, (x, y) => model.send_msg({kind: "tap", x, y})),
      )
    }
    name()
    if (!seen.size && tries < 12) setTimeout(() => look(tries + 1), 500)
  }
  requestAnimationFrame(() => look(0))
  return name
}

export function render({model, view, el}) {
  const words = model.words
  const place = h("div", {class: "place"})
  const status = h("span", {class: "status", role: "status"})
  const waiting = {}
  const ask = (kind) =>
    new Promise((done, fail) => {
      if (isSaved()) {
        const {error, ...answer} = model.saved[kind] ?? {error: words.not_saved}
        return error ? fail(new Error(error)) : done(answer)
      }
      waiting[kind] = {done, fail}
      model.send_msg({kind})
      setTimeout(() => fail(new Error(words.no_answer)), 15000)
    })
  model.on("msg:custom", (message) => {
    const entry = waiting[message.kind]
    if (message.error) entry?.fail(new Error(message.error))
    else entry?.done(message)
  })
  const guarded = (work) => async (event) => {
    const button = event.currentTarget
    button.disabled = true
    status.textContent = ""
    try {
      await work(button)
    } catch (error) {
      status.textContent = error.message
    } finally {
      button.disabled = false
    }
  }
  const image = (make, ending) =>
    guarded(async () => {
      const list = pieces(view)
      if (!list.length) throw new Error(words.nothing)
      const {name, text} = await ask("provenance")
      download(`${name}.${ending}`, await make(list, colour(el, "surface"), text))
    })
  const toggle = guarded(async (button) => {
    const open = button.getAttribute("aria-expanded") !== "true"
    button.setAttribute("aria-expanded", open)
    place.replaceChildren(...(open ? tables(await ask("table")) : []))
  })
  const refresh = async () => {
    if (place.firstChild) place.replaceChildren(...tables(await ask("table")))
  }
  const loud = h("span", {class: "unseen", "aria-live": "polite"})
  const renamed = walkable(model, view, loud)
  model.on("version", () => {
    refresh().catch(() => {})
    requestAnimationFrame(renamed)
  })
  const csv = guarded(async () => {
    const {name, text} = await ask("csv")
    download(`${name}.csv`, new Blob([text], {type: "text/csv;charset=utf-8"}))
  })
  // One small button per picture; what it offers stands beside it while it is open.
  const offered = h("span", {class: "offered", role: "group", "aria-label": words.tools_title, hidden: true})
  const opener = h(
    "button",
    {type: "button", class: "opener", "aria-expanded": "false", title: words.tools_title, onclick: () => offer(offered.hidden)},
    words.tools,
  )
  const offer = (on) => {
    offered.hidden = !on
    opener.setAttribute("aria-expanded", String(on))
  }
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || offered.hidden) return
    event.stopPropagation()
    offer(false)
    opener.focus()
  })
  const button = (label, title, action, more) => h("button", {type: "button", title, "aria-label": title, onclick: action, ...more}, label)
  el.append(h("div", {class: "row", "data-alone": "saved"}, opener, offered, status, loud), place)
  offered.append(
    button(words.table, words.table_title, toggle, {"aria-expanded": "false"}),
    button("CSV", words.csv_title, csv),
    button("PNG", words.png_title, image(pngBlob, "png")),
    button("SVG", words.svg_title, image(svgBlob, "svg")),
  )
}
