"""The HTTP doors: REST, git smart HTTP and pages; knows the core and the port, never guts_net."""
