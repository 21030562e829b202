"""One module a store."""
