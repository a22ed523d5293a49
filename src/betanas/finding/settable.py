"""Which settings of a search a `find` takes, in place of what it would choose."""

from __future__ import annotations

from betanas.declaration import settings_of
from betanas.search.settings import Limits

# Where it runs: these may differ when it goes on.
MACHINE = ("data_root", "devices", "workers")

SETTABLE = (
    *("resolution", "validation_share", "budget", "recipe", "batch_size", "flip", "teacher", "teacher_share"),
    *(each.name for each in settings_of(Limits).values()),
    *("space", "blocks", "preset", "ranges", "fixed", "widen", "designs", "strategy", "prior", "seed"),
    *MACHINE,
)
