"""Submitting runs and following them: synchronous and asynchronous clients, the in-process fallback."""
