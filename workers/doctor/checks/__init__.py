"""The checks of `resync-troubleshoot doctor`, one file per counterpart."""
