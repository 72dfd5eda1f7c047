"""The benchmark: this project beside ``asyncio.gather`` and beside a plain chord, in one run on one machine."""
