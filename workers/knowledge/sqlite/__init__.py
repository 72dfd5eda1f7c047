"""The knowledge base embedded in SQLite (FTS5)."""
