"""Compare two databases cell by cell: in the order of a key, or as sets of rows."""
