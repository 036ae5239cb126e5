"""The contents of a session as values: written to bytes and read back, compared, and merged with those of others.

Nothing here knows of requests or stores.
"""
