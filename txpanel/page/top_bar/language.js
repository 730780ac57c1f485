// The page in another language: the same address, with its code. All words come with the page, so it is opened anew; what is shown stands in the address.
import {h} from "../../toolkit/elements.js"
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
              event.currentTarget.href = address(code) // as it is now
            },
          },
          name,
        ),
      )

function address(code) {
  const wanted = new URL(location.href)
  wanted.searchParams.set("lang", code)
  return wanted.href
}
