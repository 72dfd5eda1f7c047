"""The worker process: event loop, Celery hooks, readiness and health."""
