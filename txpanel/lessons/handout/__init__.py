"""A lesson on paper, and a lesson as a notebook: `page.handout` makes one HTML file to print, `notebook.notebook` a notebook whose cells are live."""
