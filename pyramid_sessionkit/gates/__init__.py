"""Gates on login: the predicates, what those see whom they turn away, and why a login ended."""
