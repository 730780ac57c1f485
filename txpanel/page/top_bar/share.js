// The link, and runs as files: to save and to open.
import {download, h} from "../../toolkit/elements.js"
import {popover} from "./popover.js"
import {keepRun, keptRun} from "./run_storage.js"

export function sharing(model, send) {
  const w = model.words
  const file = h("input", {
    type: "file",
    accept: ".safetensors",
    class: "unseen",
    tabindex: -1,
    "aria-label": w.open_run,
    onchange: async () => {
      const [chosen, size] = [file.files[0], 400000]
      file.value = ""
      const most = (model.info.limits?.upload || Infinity) + size // up to the first piece beyond the limit: with that one the server refuses the file in words
      for (let at = 0; chosen && (at === 0 || at < Math.min(chosen.size, most)); at += size) {
        const bytes = new Uint8Array(await chosen.slice(at, at + size).arrayBuffer())
        let text = ""
        for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192))
        send("open", {name: chosen.name, at, data: btoa(text), last: at + size >= chosen.size})
      }
    },
  })
  const share = popover("⇪", w.share, {
    class: "icon",
    sheet: "share",
    fill: () => {
      const said = h("p", {role: "status"}, model.info.link !== false ? w.link_note : kept ? w.link_long : w.link_lost)
      const copy = async () => {
        const link = location.href
        try {
          await navigator.clipboard.writeText(link)
          said.textContent = w.copied
        } catch {
          // a browser has no clipboard on a page without https
          const field = h("input", {type: "text", readonly: true, value: link, "aria-label": w.copy_by_hand})
          said.replaceChildren(w.copy_by_hand, field)
          field.select()
        }
      }
      share.sheet.replaceChildren(
        ...(model.info.link == null
          ? []
          : [h("button", {type: "button", class: "item", disabled: !model.info.link, onclick: copy}, w.copy), said]),
        h(
          "button",
          {
            type: "button",
            class: "item",
            disabled: !model.status.ready,
            onclick: () => {
              send("save")
              share.show(false)
            },
          },
          w.save_run,
          h("span", null, w.save_note),
        ),
        h(
          "button",
          {
            type: "button",
            class: "item",
            onclick: () => {
              file.click()
              share.show(false)
            },
          },
          w.open_run,
          h("span", null, w.open_note),
        ),
      )
    },
  })
  share.root.append(file)
  model.on("msg:custom", ({kind, name, data}) => {
    if (kind === "file") download(name, new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))]))
  })
  let kept = false // whether the run, too long for a link, is stored in this browser
  const keep = () => {
    kept = Boolean(model.kept.name) && keepRun(model.kept)
  }
  model.on("kept", keep)
  keep()
  if (model.wanted) send("kept", {name: model.wanted, data: keptRun(model.wanted)})
  return share.root
}
