"""A PostgreSQL database as the doctor sees it: read-only, a transaction per check."""
