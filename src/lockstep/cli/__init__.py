"""The ``lockstep`` command: argument parsing and printing, nothing else.

    lockstep <noun> <verb>      stdout = the result, stderr = progress and errors

Owns the names of verbs and options, the exit codes and what a terminal or a program
reads. It decides nothing that a library user would need too: every verb is a few
calls of the floors below. Nothing here may be imported from below.

Invariants: a verb's module is imported when the verb is used, so ``--version`` and
``--help`` stay quick; an error is one block without a traceback; no secret is printed.
"""

from lockstep.cli.root import main

__all__ = ["main"]
