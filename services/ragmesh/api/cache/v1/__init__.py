"""Generated from protos/ragmesh/api/cache/v1 by tools/generate_protos.py."""
