"""The SQLite side of a move: open, describe, profile, read, write."""
