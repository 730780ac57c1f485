// Bokeh takes what came from the server for something new, and its first message would carry all of it back.
export const forgetNew = (view) => {
  view?.model?.document?._new_models?.delete(view.model)
}
