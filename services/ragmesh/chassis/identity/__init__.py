"""Identity between services: every call is signed by a key that may speak for its caller."""
