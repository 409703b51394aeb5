"""A SQLite file as the doctor sees it: opened without a trace, read in bites.

header ──► opening (read-only, no litter) ──► context ──► catalog, census
"""
