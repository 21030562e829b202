"""A package, so that fixtures can have its scope: the mesh ends with the last test here."""
