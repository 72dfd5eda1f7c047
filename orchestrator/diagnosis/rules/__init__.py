"""The deterministic diagnosis: rules over the evidence of the sources."""
