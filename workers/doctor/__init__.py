"""Looks at every counterpart that is configured: is it there, is it right, how to repair it."""
