"""The portability check: what in a metadata would differ between engines.

``registry.py`` says what a finding is, ``walk.py`` goes over a metadata, and one
module per subject holds the checks:

    column_types   types that store, sort or limit differently
    defaults       server defaults, clocks, sequences, computed columns
    indexes        expressions, predicates, options, misleading names
    constraints    NULLs, deferral, text conditions, types across a foreign key
    tables         schemas, STRICT, options of one engine
    names          too long, cut alike, alike but for case, reserved
"""

from importlib import import_module

from lockstep.schema.portability.registry import Finding
from lockstep.schema.portability.walk import check_portability

__all__ = ["Finding", "check_portability"]

for _subject in (
    "column_types",
    "constraints",
    "defaults",
    "indexes",
    "names",
    "tables",
):
    import_module(f"{__name__}.{_subject}")
