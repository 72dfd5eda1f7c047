"""Flower's configuration: ``celery -A workers.app flower --conf=PATH``.

What a site sets below wins: https://flower.readthedocs.io/en/latest/config.html
"""

from workers.flower import *  # noqa: F403
