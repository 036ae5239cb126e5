"""CSRF: the storage policy, the tokens, and which requests need none."""
