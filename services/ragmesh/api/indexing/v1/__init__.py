"""Generated from protos/ragmesh/api/indexing/v1 by tools/generate_protos.py."""
