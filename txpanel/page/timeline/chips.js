// The tokens of the timeline as chips, coloured by their probability or surprisal, and the tooltip with the numbers of one.
import {h} from "../../toolkit/elements.js"
import {keyed, patch, v} from "../../toolkit/patch.js"
import {COLUMN, inkOn, probabilityFacts, promptToken, tokenColour, tokenFacts} from "./parts.js"

const SHOWN = 90 // chips at most; the track beside them shows all tokens

const ground = (colour) => `--ground:${colour};--ink:${inkOn(colour)}`

// The prompt's tokens, coloured like the others, and the mark where the prompt ends
function promptChips({strings = [], special = []}, scored, {mode, dark}, w) {
  const marks = new Set(special)
  const tokens = strings.map((text, k) => {
    const colour = scored[k] && tokenColour(promptToken(text, marks.has(k), scored[k]), mode, dark)
    const look = `token given${marks.has(k) ? " mark" : ""}${colour ? " scored" : ""}`
    return v("span", {class: look, "data-k": k, style: colour ? ground(colour) : null}, text)
  })
  return [...tokens, v("i", {class: "border", title: w.generated, "aria-hidden": "true"})]
}

// now() is where the timeline stands: {line, i, mode, dark}; go(i) goes to token i. Chips and tooltip need the same parent.
export function tokenChips(model, w, {now, go}) {
  let begin = 0
  const chips = h("div", {class: "chips"})
  const tip = h("div", {class: "tip", hidden: true})

  const say = (title, facts, x, y) => {
    tip.hidden = false
    const box = tip.parentElement.getBoundingClientRect()
    patch(
      tip,
      v("b", null, title),
      facts.map((text) => v("span", null, text)),
    )
    tip.style.left = `${Math.max(4, Math.min(box.width - tip.offsetWidth - 4, x - box.left - tip.offsetWidth / 2))}px`
    tip.style.top = `${y - box.top}px`
  }
  const tell = (i, x, y) => {
    const {line} = now()
    if (i === null || i < 1 || i > line.length) {
      tip.hidden = true
      return
    }
    say(line[i - 1][COLUMN.TEXT], tokenFacts(line[i - 1], w), x, y)
  }
  const tellPrompt = (k, x, y) => {
    const [text, scored] = [model.prompt.strings[k], model.scored[k]]
    const first = k === 0 && !model.prompt.more
    if (!scored && !first) {
      tip.hidden = true
      return
    }
    const special = model.prompt.special.includes(k)
    say(text, [...(special ? [w.special] : []), ...(scored ? probabilityFacts(promptToken(text, special, scored), w) : [w.unscored])], x, y)
  }

  chips.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-i]")
    if (chip) go(Number(chip.dataset.i))
    const shift = event.target.closest("[data-shift]")
    if (shift) {
      begin = Math.max(0, Math.min(now().line.length - SHOWN, begin + Number(shift.dataset.shift)))
      draw(true)
    }
  })
  chips.addEventListener("pointerover", (event) => {
    const chip = event.target.closest("[data-k],[data-i]")
    if (!chip || chip.dataset.i === "0") return tell(null)
    const box = chip.getBoundingClientRect()
    const there = [box.left + box.width / 2, box.bottom + 4]
    chip.dataset.k ? tellPrompt(Number(chip.dataset.k), ...there) : tell(Number(chip.dataset.i), ...there)
  })
  chips.addEventListener("pointerleave", () => tell(null))
  chips.addEventListener("focusin", (event) => {
    const chip = event.target.closest?.("[data-i]")
    const box = chip?.getBoundingClientRect()
    if (chip?.matches(":focus-visible")) tell(Number(chip.dataset.i) || null, box.left + box.width / 2, box.bottom + 4)
  })
  chips.addEventListener("focusout", () => tell(null))

  const tokenChip = (token, n, {i, mode, dark}) =>
    v(
      "button",
      {
        type: "button",
        class: `token chip${token[COLUMN.SPECIAL] ? " mark" : ""}${n > i ? " ahead" : ""}`,
        "data-i": n,
        "aria-current": String(n === i),
        tabindex: n === i ? 0 : -1,
        "aria-label": `${token[COLUMN.TEXT]}: ${tokenFacts(token, w).join(", ")}`,
        style: ground(tokenColour(token, mode, dark)),
      },
      token[COLUMN.TEXT],
    )
  // stays: the shown range was chosen with its buttons, and is not moved to the current token
  function draw(stays = false) {
    const here = now()
    const {line, i} = here
    if (!stays && (i < begin + 4 || i > begin + SHOWN - 4)) begin = Math.max(0, Math.min(line.length - SHOWN, i - Math.floor(SHOWN / 2)))
    begin = Math.max(0, Math.min(begin, Math.max(0, line.length - SHOWN)))
    const {more = 0} = model.prompt
    const shown = line.slice(begin, begin + SHOWN)
    const after = line.length - begin - shown.length
    const before = begin ? [] : promptChips(model.prompt, line.length ? model.scored : [], here, w)
    const earlier = begin
      ? {key: "earlier", ...v("button", {type: "button", class: "more", "data-shift": -SHOWN / 2}, w.earlier.replace("{n}", begin))}
      : {key: "cut", ...v("span", {class: "more"}, w.earlier.replace("{n}", more))}
    const later = {key: "later", ...v("button", {type: "button", class: "more", "data-shift": SHOWN / 2}, w.later.replace("{n}", after))}
    // A chip stays the same element as long as it is the same token, so that a token that is added meanwhile takes no click and no focus away
    keyed(chips, [
      ...(begin || more ? [earlier] : []),
      {key: "prompt", ...v("span", {class: "prompt", "data-i": 0, title: w.start, "aria-current": String(i === 0)}, before)},
      ...shown.map((token, k) => ({key: `${begin + k + 1} ${token[COLUMN.TEXT]}`, ...tokenChip(token, begin + k + 1, here)})),
      ...(after > 0 ? [later] : []),
    ])
    const current = chips.querySelector("[aria-current=true]")
    if (current) {
      // scrolls the chip into sight, but not the page
      const [top, bottom] = [current.offsetTop - chips.offsetTop, current.offsetTop - chips.offsetTop + current.offsetHeight]
      if (top < chips.scrollTop || bottom > chips.scrollTop + chips.clientHeight)
        chips.scrollTop = Math.max(0, top - chips.clientHeight / 2)
      const [left, right] = [current.offsetLeft - chips.offsetLeft, current.offsetLeft - chips.offsetLeft + current.offsetWidth]
      const sight = chips.clientWidth
      if (i > 0 && (left < chips.scrollLeft || right > chips.scrollLeft + sight - 24))
        chips.scrollLeft = right - sight + Math.min(sight / 2, 90)
    }
  }
  return {chips, tip, tell, draw}
}
