"""Generated from protos/ragmesh/api/gateway by tools/generate_protos.py."""
