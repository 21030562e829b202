"""Backups: a copy of the catalog and of every file that it names, as of one moment."""
