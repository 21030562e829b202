"""Generated from protos/ragmesh/api/embedding/v1 by tools/generate_protos.py."""
