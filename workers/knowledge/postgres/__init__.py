"""The Resync app's knowledge base in PostgreSQL with pgvector."""
