"""The knowledge base: runbooks, reading of documents, queries, ranking, and its two databases."""
