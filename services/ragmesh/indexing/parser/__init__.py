"""The process that reads foreign files: parsers and the chunker, and nothing else of ragmesh."""
