// The rules of the declared stages in the browser, by their key: one module each, beside its declaration in stages/. scripts/bundle puts in what
// stands there. A row is the vocabulary sorted from the largest logit down (equal ones by id); a rank is a place in it. `before` is the row as the
// stage finds it: values (logits), and from rank `start` to `end` what is left, with p (their probabilities, p[0] is that of `start`), max, sum, kept
// and entropy (bits). A module exports, by what its declaration says:
//   change(logits, ids, value)  of a stage that looks back: Map of token id -> its new logit (float32), -Infinity to remove it
//   scale(before, value)        of one that changes logits: Float32Array of the row's new logits in the same order; null if it changes none
//   keep(before, value)         of one that removes tokens: {start, end} of those that stay, which are neighbours; more is kept with the stage
//   path(at, format)            for all: [name of a sentence of its words, its values] for one token. `at` has rank, id, value (the setting), stage,
//                               before, x and y (its logit before and after), p (its probability before), out (whether it is removed), ids and names
//                               of the text, and logits (by id) for those that look back; `format` has number, percent, plain and grouped
export const rules = {}
