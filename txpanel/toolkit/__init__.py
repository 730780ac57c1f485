"""What views draw with: colours, numbers, plots, cards, vector strips, export, and the browser modules that they share."""
