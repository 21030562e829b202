"""The catalog as SQL: one module a group of tables, one transaction a method."""
