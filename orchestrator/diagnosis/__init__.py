"""Pure domain logic: aggregate, rules, evidence, redaction, rendering."""
