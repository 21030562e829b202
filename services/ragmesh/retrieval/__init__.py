"""The retrieval service: writes chunks of index versions and finds them again."""
