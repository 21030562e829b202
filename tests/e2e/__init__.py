"""A package, so that fixtures can have its scope: their meshes end with the last test here."""
