"""The synthesis step: prompt, model client, checked answer."""
