"""Generated from protos/ragmesh/api/events by tools/generate_protos.py."""
