"""The sources: what is asked of each counterpart and what it means; async, without Celery."""
