"""The source ``rag_search``: runbook passages about the question, from the knowledge base (``workers.knowledge``).

Queried once per run. ``source`` holds all of it, from the request's query to evidence; ``source.SPEC`` is the way in.
"""
