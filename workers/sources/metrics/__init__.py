"""The source ``metrics``: load of hosts and of the application at the time of a failure, from Prometheus.

Queried once per run. ``source.SPEC`` is the way in. Values come from the Prometheus HTTP API, or from one text endpoint
when only that is configured or the API does not answer.

- ``series``: what is measured, its unit and the limit beyond which it is a concern
- ``queries``: the PromQL of each series, and a site's own from a JSON file
- ``prometheus``: instant and range queries of the HTTP API; ``exposition``: parses the text endpoint
- ``http``: GETs bounded in time and size
- ``evidence``: the values as evidence items and as one line
"""
