"""What stands around the views: the top bar, the timeline, the address, files, theme, and the dashboard that lays it out."""
