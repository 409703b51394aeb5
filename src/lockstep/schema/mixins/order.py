"""Where the mixins' columns stand: the key first, the rest after the model's own."""

from __future__ import annotations

KEY_FIRST = -100
VERSION = 900
CREATED_AT = 910
UPDATED_AT = 911
CREATED_BY = 920
UPDATED_BY = 921
DELETED_AT = 930
