"""Names that belong together."""

from __future__ import annotations

from collections.abc import Iterable


class Groups:
    """Names that belong together; `find` gives one name for all of a group."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The representative of the group that a name belongs to."""
        while name in self._parents:
            name = self._parents[name]
        return name

    def join_all(self, names: Iterable[str]) -> None:
        """Make one group of all these names."""
        roots = {self.find(name) for name in names}
        for root in sorted(roots)[1:]:
            self._parents[root] = min(roots)
