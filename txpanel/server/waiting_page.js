// The page of a visitor who waits for a free place: asks again by itself, shows the visitor's number in the line, and enters when a place is free.
const page = document.querySelector("main")
const {ticket, again, words} = page.dataset
const place = page.querySelector("strong")

// The address that was asked for, with the visitor's ticket.
const wanted = () => {
  const url = new URL(location.href)
  if (ticket) url.searchParams.set("place", ticket)
  return url
}

const ask = async () => {
  let wait = Number(again)
  try {
    const answer = await fetch(wanted(), {headers: {Accept: "application/json"}, cache: "no-store"})
    const said = await answer.json()
    if (said.enter) return location.replace(wanted())
    if (place && said.place) place.textContent = words.replace("{n}", said.place)
    if (said.place) document.title = `${words.replace("{n}", said.place)} · txpanel`
    wait = said.again ?? wait
  } catch {
    // no connection now: tried again later
  }
  setTimeout(ask, wait * 1000)
}
if (ticket) history.replaceState(null, "", wanted()) // a reload keeps the place in the line
setTimeout(ask, Number(again) * 1000)
