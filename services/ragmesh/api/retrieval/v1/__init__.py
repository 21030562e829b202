"""Generated from protos/ragmesh/api/retrieval/v1 by tools/generate_protos.py."""
