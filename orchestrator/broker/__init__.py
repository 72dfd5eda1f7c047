"""Everything of Celery and kombu: the app, the chord, publishing, queues, the transport."""
