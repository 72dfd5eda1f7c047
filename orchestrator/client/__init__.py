"""Clients: submit runs and follow them, from threads or an event loop, with an in-process fallback."""
