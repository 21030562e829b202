"""The command line: everything it does on a mesh is a call of the gateway.

Modules of commands import click and core alone; what is heavy is imported by the command that
needs it, so that `ragmesh --help` answers at once.
"""
