"""Generated from protos/ragmesh/api by tools/generate_protos.py."""
