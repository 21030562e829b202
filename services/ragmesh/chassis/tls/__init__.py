"""Encryption on the wire. It keeps others from reading; it is never who somebody is."""
