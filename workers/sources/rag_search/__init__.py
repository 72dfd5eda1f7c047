"""The source `rag_search`: passages of the knowledge base."""
