"""ragmesh answers questions over an organisation's own documents, with citations."""
