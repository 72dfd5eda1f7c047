"""The source ``log_cache``: recent errors and earlier runs of a job, from Redis.

Queried once per job. ``source.SPEC`` is the way in. Two places are read: keys that the Resync app writes, and the
project's own cache, filled after each run (``write_back``) and by ``resync-troubleshoot logs``.

- ``app_keys``: reads the app's two keys of a job; ``entries``: parses the many shapes of their values
- ``own_cache``: reads and writes the own cache; ``record``: one record of it, made from an answer of TWS or an entry
- ``history``: last success, earlier occurrences of a code, trend of the elapsed time
- ``evidence``: the history as evidence items and as one line
- ``ingest``: records from a log file; ``joblog_summary``: the windows of a job log that are worth keeping
- ``feed``: writes the app's keys where no other program does
- ``write_back``: the step after a commit
- ``connection``: Redis clients and their errors
"""
