"""Celery and kombu: the application, the chord, publishing, queues, the transport."""
