"""A simulated HWA server and its scenarios, for the demo and the tests."""
