"""The command line: psessions."""
