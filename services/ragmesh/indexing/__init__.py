"""The catalog and what keeps the index equal to it: uploads, revisions, heads and jobs."""
