"""Progress bar of a training run."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Bar"]


class Bar:
    """A bar over all updates, and one line per epoch; silent layers are named.

    Args:
        epochs: of the run.
        done: epochs that a checkpoint has already.
        updates: per epoch.
    """

    def __init__(self, epochs: int, done: int, updates: int):
        self.epochs, self.updates = epochs, updates
        self.console = Console(stderr=True)
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.task = self.progress.add_task("training", total=epochs * updates, completed=done * updates)

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def step(self) -> None:
        """One update done."""
        self.progress.advance(self.task)

    def show(self, row: dict[str, Any]) -> None:
        """Print the row of an epoch."""
        text = f"epoch {row['epoch']:3d}/{self.epochs}  loss {row['loss']:.3f}  accuracy {row['accuracy']:.3f}"
        if "validation_accuracy" in row:
            text += f"  validation {row['validation_accuracy']:.3f}"
        text += f"  {row['seconds']:.1f} s"
        silent = [n for n, r in row["rates"].items() if r == 0]
        if silent:
            text += f"  silent: {', '.join(silent)} (raise the weights with nn.initialise, or lower v_threshold)"
        self.console.print(text, highlight=False)
