// The page of a visitor who waits for a place: asks again by itself, shows the place, and enters when there is one.
const page = document.querySelector("main")
const {ticket, again, words} = page.dataset
const place = page.querySelector("strong")

// The page that was asked for, with the ticket.
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
    // no connection now: there may be one later
  }
  setTimeout(ask, wait * 1000)
}
if (ticket) history.replaceState(null, "", wanted()) // who loads this page again keeps his place
setTimeout(ask, Number(again) * 1000)
