"""The source ``rag_search``: runbook passages about the question, from the knowledge base (``workers.knowledge``).

Asked once per run. ``source`` holds the whole of it: request to query, search, hits to evidence; ``source.SPEC`` is the
way in.
"""
