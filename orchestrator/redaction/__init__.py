"""Masking of secrets in every text before it is stored, logged or sent to a model."""
