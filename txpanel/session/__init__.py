"""One person's session: text, model, run, selection, sampling parameters, what was generated, and undo. Never Panel."""
