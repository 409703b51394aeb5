"""Shelves of the sides: raw drivers, Lockstep, and its peers as their manuals say.

One file per peer. A peer's package is imported when its shelf is opened, so a missing
one is a contestant that is shown as missing.
"""
