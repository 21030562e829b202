"""Answers from evidence, and from nothing else."""
