"""What a code, a state, a step and a name is: patterns and the catalogue of codes."""
