"""Clients of the counterparts: HWA, knowledge base, log cache, Prometheus."""
