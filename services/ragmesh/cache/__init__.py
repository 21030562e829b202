"""What was computed before, served for exactly as long as it is true."""
