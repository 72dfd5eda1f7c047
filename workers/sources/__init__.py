"""The four built-in sources, one package each, registered in ``pyproject.toml`` by the ``SPEC`` of its ``source``.

Each has ``source`` (the ``Source`` and its ``SPEC``) and ``evidence`` (results as ``Evidence``); no source imports
another. A site's own source has the same form: ``docs/sources.md``.
"""
