"""What every process needs, whichever services run in it."""
