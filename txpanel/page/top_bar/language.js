// The page in another language: the same address with the language's code. All texts come with the page, so it is loaded again; the address says what is
// shown.
import {h, s} from "../../toolkit/elements.js"
import {isSaved} from "../../toolkit/saved_page.js"

/** A link for each of `model.languages` ({code, name}); none where there is no server to ask for it. */
export const languageLinks = (model) =>
  isSaved()
    ? []
    : model.languages.map(({code, name}) =>
        h(
          "a",
          {
            class: "quiet language",
            href: address(code),
            hreflang: code,
            lang: code,
            onclick: (event) => {
              event.currentTarget.href = address(code) // the address may have changed since the link was made
            },
          },
          globe(),
          name,
        ),
      )

/** A globe, the usual sign for languages: without it a link could be taken for an example text, some of which are named after a language. */
const globe = () =>
  s(
    "svg",
    {class: "globe", viewBox: "0 0 16 16", "aria-hidden": "true"},
    s("circle", {cx: 8, cy: 8, r: 6.5}),
    s("ellipse", {cx: 8, cy: 8, rx: 2.8, ry: 6.5}),
    s("path", {d: "M1.5 8h13"}),
  )

function address(code) {
  const wanted = new URL(location.href)
  wanted.searchParams.set("lang", code)
  return wanted.href
}
