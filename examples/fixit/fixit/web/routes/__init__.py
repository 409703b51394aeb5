"""The pages, one module for each area; each has a list ``routes``."""
