"""Which release this is; the build reads it here, and so does every floor."""

__version__ = "0.1.0"
