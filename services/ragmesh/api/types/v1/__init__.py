"""Generated from protos/ragmesh/api/types/v1 by tools/generate_protos.py."""
