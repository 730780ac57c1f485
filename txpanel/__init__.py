"""txpanel: open up a Hugging Face text-generation transformer and see how it gets to the next token."""
