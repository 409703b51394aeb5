"""Defaults, checks and indexes of one engine, said in the words of the other."""
