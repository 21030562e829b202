"""The VectorIndex of Weaviate."""
