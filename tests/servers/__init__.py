"""Servers that the tests start for themselves: on free loopback ports, in temporary folders, stopped by handle."""
