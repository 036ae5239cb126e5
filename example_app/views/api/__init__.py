"""The JSON API, a module for each topic. ``api.yaml`` describes what each view gets and answers."""
