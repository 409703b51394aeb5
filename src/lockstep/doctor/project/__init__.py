"""A project as the doctor sees it: its files, its settings, its history.

files ──► context (settings, texts, what git tracks) ──► checks
history: the migrations of lockstep, and SQL files of other tools
"""
