"""The design-space exploration: search, evidence, configuration and the command line."""
