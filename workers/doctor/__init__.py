"""The checks of ``doctor``: state of every configured counterpart, and remedies."""
