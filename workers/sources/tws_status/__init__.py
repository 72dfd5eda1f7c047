"""The source ``tws_status``: jobs, job streams and workstations of the plan, over the HWA REST API v2 (read only).

Queried once per job. ``source.SPEC`` is the way in; the modules below it, in the order in which a question meets them:

- ``instances``: base URL and credentials of each TWS instance, from the environment or a JSON file
- ``notation``: parses the names that users write, such as ``WS#STREAM.JOB``
- ``lookup``: finds a job and gathers all about it; ``problems``: the same for a stream, a workstation, the whole plan
- ``joblog``: which pages and windows of a job log to read
- ``oql``: query conditions from checked values
- ``client``: requests with a deadline, retries and a circuit breaker; ``transport``: the allow-list of GETs below it
- ``parsing``: JSON of the API to ``orchestrator.payloads``
- ``evidence``, ``finding``: the payload as evidence items and as one line
- ``errors``: what can go wrong, one ``reason`` each
"""
