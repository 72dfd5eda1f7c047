"""Query analysis and the ranking of passages."""
