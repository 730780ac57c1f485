// Places of the page that the floating card must not cover: components report where they draw something that has to stay readable.
const places = new Set()

/** Registers a function that returns lists of elements, each of which is one place. Returns a function that removes it. */
export function keepClear(lists) {
  places.add(lists)
  return () => places.delete(lists)
}

function around(elements) {
  const boxes = elements.filter((one) => one.isConnected).map((one) => one.getBoundingClientRect())
  const seen = boxes.filter((box) => box.width && box.height)
  if (!seen.length) return null
  const [left, top] = [Math.min(...seen.map((box) => box.left)), Math.min(...seen.map((box) => box.top))]
  return {left, top, right: Math.max(...seen.map((box) => box.right)), bottom: Math.max(...seen.map((box) => box.bottom))}
}

/** The boxes on screen that are to stay clear, in pixels of the window. */
export const keptClear = () =>
  [...places]
    .flatMap((lists) => lists())
    .map(around)
    .filter((box) => box && box.bottom > 0 && box.top < innerHeight)
