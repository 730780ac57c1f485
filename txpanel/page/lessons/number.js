// A number as a person types it.

const GROUPED = /^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/ // as the page writes large ones: 49,152
const PLAIN = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,2})?$/i
const TOO_LARGE = 1e15 // what the server takes for no answer

/** What was typed, or null: also with the digits of a Japanese keyboard, with the page's own minus sign and commas, or with a decimal comma. */
export function typedNumber(text) {
  const typed = text.normalize("NFKC").replace(/[\s%]/g, "").replace(/^[−–]/, "-")
  const plain = GROUPED.test(typed) ? typed.replaceAll(",", "") : typed.replace(",", ".")
  const found = PLAIN.test(plain) ? Number(plain) : TOO_LARGE
  return Math.abs(found) < TOO_LARGE ? found + 0 : null // + 0: there is one zero
}
