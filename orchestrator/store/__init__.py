"""The run in Redis: keys, Lua scripts, runs and events."""
