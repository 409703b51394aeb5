"""The PostgreSQL side of a move: describe, read, write."""
