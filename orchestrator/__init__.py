"""What the Resync app imports: submit a troubleshoot run, follow it, read its report."""
