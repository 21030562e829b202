"""Generated from protos/ragmesh/api/events/v1 by tools/generate_protos.py."""
