"""Progress of a conversion, in events."""

from __future__ import annotations

from rich import progress as bars
from rich.console import Console

__all__ = ["Progress"]


class Progress:
    """A bar on the error stream, where that is a terminal; the number of events is known once all are read.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool) -> None:
        console = Console(stderr=True)
        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.TextColumn("{task.completed:,.0f} events"),
            bars.TimeElapsedColumn(),
        )
        self._bar = bars.Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
        self._task = self._bar.add_task("opening", total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, what: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` events were dealt with."""
        self._bar.update(self._task, description=what, completed=done, total=total)
