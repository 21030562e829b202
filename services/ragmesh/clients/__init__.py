"""The remote twin of each service: same method names, same values, same errors."""
