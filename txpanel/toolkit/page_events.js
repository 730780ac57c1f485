// Events between the parts of one dashboard; the sender does not know the receivers.
//   reveal: a view was asked for, by its id: the page scrolls to it, whether it was open before or not
//   uncover: on a phone: close what covers the picture, since a part under it is being explained
//   sight:  whether the picture on top is on screen, or has scrolled away
//   start:  begin the list of lessons, or the lesson of that id
//   guide:  the same where there are no lessons, as on a saved page
//   playto: how far the picture is to be played, by the name of a part; null: it is shown as a whole
//   played: a person has played the picture on to its next part
//   asleep: in a notebook the kernel does not answer (true), or does again: requests without an answer are taken back
//   writing: tokens are about to come (true), or another text (false)
//   lined: whether the timeline has its line under the bar; asklined: a part asks for that event
//   settings: the flow's place for the sampling settings, under the bars that they change; the top bar puts them there
//   playing: the part that ▶ Play has come to, by its name; null: it is over. A receiver that explains the part takes the event; then Play waits longer
//   play:   ▶ Play is on, and the next token hidden until the picture has come to it (true), or is over (false)
const kind = (name) => `tx-${name}`

/** Sends an event at `el`. Returns whether a receiver has taken it (`event.preventDefault`). */
export const say = (el, name, detail) =>
  !el.dispatchEvent(new CustomEvent(kind(name), {detail, bubbles: true, composed: true, cancelable: true}))

export const top = (view) => (view.parent ? top(view.parent) : view)

/** Calls `act` with the events of the dashboard that `view` is in (a view without a parent yet gets all). Returns a function that ends it. */
export function hear(name, view, act) {
  const heard = (event) => {
    if (!view.parent || event.composedPath().includes(top(view).el)) act(event.detail, event)
  }
  addEventListener(kind(name), heard)
  return () => removeEventListener(kind(name), heard)
}
