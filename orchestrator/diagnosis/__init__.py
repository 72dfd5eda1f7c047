"""Pure domain logic: rules, evidence and its checks, commands, planted instructions, rendering."""
