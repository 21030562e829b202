"""Generated from protos/ragmesh/api/generation by tools/generate_protos.py."""
