"""The session ID: what it is made of, how a request brings it, and how a response sends it."""
