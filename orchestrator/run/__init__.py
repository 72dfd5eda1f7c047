"""The life of a run: dispatch, envelopes of the sources, diagnosis, report and commit."""
