"""The life of a run: dispatch, answers of the sources, the report and its commit."""
