"""The checks of `resync-troubleshoot doctor`, one file a counterpart."""
