"""Generated from protos/ragmesh/api/retrieval by tools/generate_protos.py."""
