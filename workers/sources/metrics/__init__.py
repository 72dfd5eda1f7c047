"""The source `metrics`: Prometheus' HTTP API or its text format."""
