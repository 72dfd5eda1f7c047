"""The source `log_cache`: recent errors and history of a job in Redis."""
