"""Encoders, one module a technology."""
