"""Generated from protos/ragmesh/api/embedding by tools/generate_protos.py."""
