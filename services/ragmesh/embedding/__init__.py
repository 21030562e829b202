"""The embedding service: texts in, comparable vectors out."""
