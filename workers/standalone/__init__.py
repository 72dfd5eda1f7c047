"""Everything on one machine without Docker: a private Redis, a supervisor of processes, and who runs where."""
