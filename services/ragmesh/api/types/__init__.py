"""Generated from protos/ragmesh/api/types by tools/generate_protos.py."""
