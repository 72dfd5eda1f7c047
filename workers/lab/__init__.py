"""Simulator, benchmark and evaluation."""
