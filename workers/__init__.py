"""Worker side: the Celery app, the four sources and the synthesis step."""
