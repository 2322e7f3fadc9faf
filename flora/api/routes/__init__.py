"""One blueprint for each family of routes."""
