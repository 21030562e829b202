"""Stores that keep an index; one package a technology."""
