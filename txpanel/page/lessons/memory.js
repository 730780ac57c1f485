// The learner's place in each lesson, kept in this browser only. In a browser without storage every lesson begins at its first step.
const KEY = "txpanel-lessons"

const read = () => {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}")
    return found && typeof found === "object" && !Array.isArray(found) ? found : {}
  } catch {
    return {}
  }
}

const of = (all, id) => (all[id] && typeof all[id] === "object" ? all[id] : {})

const write = (id, more) => {
  try {
    const all = read()
    all[id] = {...of(all, id), ...more}
    localStorage.setItem(KEY, JSON.stringify(all))
  } catch {
    // a private window, or one without storage
  }
}

export const memory = () => ({
  at: (id) => String(of(read(), id).at ?? ""),
  isDone: (id) => Boolean(of(read(), id).done),
  reach: (id, at) => write(id, {at}),
  done: (id) => write(id, {at: "", done: true}),
})
