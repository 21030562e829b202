"""One module a kind of engine, and what they share."""
