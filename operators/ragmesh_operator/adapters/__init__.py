"""What the operator talks to: one file a technology."""
