"""What indexing stands on: the catalog store, blob files and parser processes."""
