"""What a worker process is made of: event loop, Celery hooks, readiness and health."""
