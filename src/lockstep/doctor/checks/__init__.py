"""The checks, one file each; see :mod:`lockstep.doctor.registry`."""
