"""Bridges to the tools our users have; each one a package of its own.

Importing this package imports none of them.
"""
