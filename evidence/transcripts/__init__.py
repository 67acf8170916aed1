"""Chat logs: one importer a format, one normal form (`normal`)."""
