"""Generated from protos/ragmesh/api/indexing by tools/generate_protos.py."""
