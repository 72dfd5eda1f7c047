"""Reading of job logs: their dialects, the lines that matter, and what known messages mean."""
