"""The audit: everything on file compared with what the record says, without a lock and without writing anything."""
