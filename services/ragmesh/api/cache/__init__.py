"""Generated from protos/ragmesh/api/cache by tools/generate_protos.py."""
