"""One module a noun; each is imported when its command is used."""
