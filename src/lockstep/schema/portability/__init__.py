"""The portability check: what in a metadata would differ between engines."""

from lockstep.schema.portability.findings import Finding, check_portability

__all__ = ["Finding", "check_portability"]
