"""The command `resync-troubleshoot`."""
