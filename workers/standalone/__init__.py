"""A whole system on one machine without containers: a private Redis, a supervisor and the processes."""
