"""What the application answers, a module for each topic."""

# The http_cache of pages that name the visitor: no browser keeps a copy for its Back button.
NO_STORE = (None, {"no_store": True})
