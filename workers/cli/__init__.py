"""Commands of the worker side, found through entry points."""
