"""What the page's callbacks work with: the followed studies, and the figures that were already made of them."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar, cast

from betanas.analysis.dashboard.feed import Seen, StudyFeed

Made = TypeVar("Made")

# Enough for a few visitors with brushes and themes of their own.
_MOST_KEPT = 48


class FollowedStudies:
    """The studies by their place in the list, and a store of what was made of them.

    Args:
        feeds: at least one.
    """

    def __init__(self, feeds: Sequence[StudyFeed]) -> None:
        self.feeds = tuple(feeds)
        names = Counter(feed.name for feed in feeds)
        self.names = tuple(
            feed.name if names[feed.name] == 1 else f"{feed.name} ({feed.shown_location})" for feed in feeds
        )
        self._made: OrderedDict[Hashable, object] = OrderedDict()
        self._guard = threading.Lock()

    def versions(self) -> list[int]:
        """The version of every study as it stands now."""
        return [feed.look().version for feed in self.feeds]

    def look(self) -> list[Seen]:
        """Every study as it stands now."""
        return [feed.look() for feed in self.feeds]

    def trial_name(self, study: int, trial: int) -> str:
        """How a trial is called on the page."""
        return f"Trial {trial}" if len(self.feeds) == 1 else f"{self.names[study]}, trial {trial}"

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, made once for a key: visitors who look at the same share it."""
        with self._guard:
            if key in self._made:
                self._made.move_to_end(key)
                return cast("Made", self._made[key])
        made = make()
        with self._guard:
            self._made[key] = made
            while len(self._made) > _MOST_KEPT:
                self._made.popitem(last=False)
        return made

    def is_pick(self, pick: object) -> bool:
        """Whether something names a followed study and a trial."""
        return (
            isinstance(pick, list)
            and len(pick) == 2
            and all(isinstance(part, int) and not isinstance(part, bool) and part >= 0 for part in pick)
            and pick[0] < len(self.feeds)
        )

    def place(self, value: object) -> int:
        """A study's place as a browser sends it; the first where it makes no sense."""
        return value if isinstance(value, int) and 0 <= value < len(self.feeds) else 0


def freeze(value: Any) -> Hashable:
    """JSON as a key."""
    if isinstance(value, Mapping):
        return tuple((key, freeze(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    return cast("Hashable", value)
