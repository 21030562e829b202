"""The composition root: what a process runs, what its services are given, the command line."""
