// What one part of the page says to the others, inside one dashboard: who speaks does not know who hears.
//   reveal: somebody asked for a view, by its id: the page scrolls to it, whether it was open before or not
//   uncover: what lies over the picture on a phone is to go: something under it is spoken of
//   sight:  whether the picture on top is on screen, or has scrolled away
//   start:  somebody asked where to begin: the tour, or the lesson of that id
//   guide:  the same where there is nobody who leads through a lesson, as on a saved page
//   playto: how far the picture is to be played, by the name of a part; null: it is shown as a whole
//   played: somebody has played the picture on to its next part
//   asleep: in a notebook nobody answers (true), or somebody does again: what was asked for and has not come is taken back
//   writing: tokens are about to come (true), or another text (false)
//   lined: whether the timeline has its line under the bar; asklined: somebody wants to hear that
//   settings: here is a place for the settings of sampling, under the bars that they move
//   playing: to which part ▶ Play has come, by its name; null: it is over. Taken by whoever says something of it, then it takes its time
//   play:   the picture is played with its answer hidden, until it is there
const kind = (name) => `tx-${name}`

/** Says something at `el`. Returns whether somebody has taken it (`event.preventDefault`). */
export const say = (el, name, detail) =>
  !el.dispatchEvent(new CustomEvent(kind(name), {detail, bubbles: true, composed: true, cancelable: true}))

export const top = (view) => (view.parent ? top(view.parent) : view)

/** Calls `act` with what is said in the dashboard that `view` is in (one that has no place yet hears all). Returns what ends it. */
export function hear(name, view, act) {
  const heard = (event) => {
    if (!view.parent || event.composedPath().includes(top(view).el)) act(event.detail, event)
  }
  addEventListener(kind(name), heard)
  return () => removeEventListener(kind(name), heard)
}
