"""Generated from protos/ragmesh/api/generation/v1 by tools/generate_protos.py."""
