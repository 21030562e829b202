"""The cache in a Redis that all replicas of the cache share."""
