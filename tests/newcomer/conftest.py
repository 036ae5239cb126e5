# The application has tests of its own, which run inside a copy of it.
collect_ignore = ["app"]
