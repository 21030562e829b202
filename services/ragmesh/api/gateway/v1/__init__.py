"""Generated from protos/ragmesh/api/gateway/v1 by tools/generate_protos.py."""
