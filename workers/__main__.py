"""``python -P -m workers``: Celery's command for this application, whatever packages the working directory has.

``celery -A workers.app`` looks into the working directory first, where an app may have a ``workers`` of its own.
"""

import sys

from celery.__main__ import main

import workers.app  # noqa: F401  # Celery finds it loaded, and looks nowhere

if __name__ == "__main__":
    sys.argv[1:1] = ["-A", "workers.app"]
    main()
