"""Value types, errors and ids that every service shares; standard library only."""
