"""The server around the page: one session per tab, what visitors may do, starting it, the commands."""
