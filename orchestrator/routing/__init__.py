"""From a question to a plan: language, intent, entities, pipeline, sources."""
