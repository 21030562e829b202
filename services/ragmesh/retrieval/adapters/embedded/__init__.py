"""The embedded index: SQLite is the truth, a NumPy matrix and a tantivy index are derived."""
