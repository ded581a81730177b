"""How commands speak: text for people, one JSON object with `--json`.

Exit 0 fine; 1 violated rule, bad file, or a value of an option that spikelab refuses; 2 a command line that does not
fit the command: a missing argument, an unknown option, a number outside its limits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import typer

from spikelab.errors import SpikelabError

__all__ = ["as_options", "ready", "say", "speaking"]


def ready(value: Any) -> Any:
    """A value made of what JSON has; numpy numbers and arrays become numbers and lists.

    Example:
        >>> ready({"a": np.float32(0.5), "b": np.arange(2)})
        {'a': 0.5, 'b': [0, 1]}
    """
    if isinstance(value, Mapping):
        return {str(k): ready(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [ready(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def say(values: Mapping[str, Any], as_json: bool, text: str | None = None) -> None:
    """Print a result: as JSON, as the given text, or one `name: value` per line."""
    if as_json:
        typer.echo(json.dumps(ready(values)))
    else:
        typer.echo(text if text is not None else "\n".join(f"{k}: {v}" for k, v in values.items()))


# Arguments that the commands have as options, in the ways in which advice names them.
_NAMES = "foreign|extensions|dt|root|if_convention|errors|sort|shape"
_ARGUMENTS = re.compile(
    r"(?P<example>as in )?(?:read|write)\(path, (?P<given>\w+)=(?P<by>[^)]+)\)"
    rf"|(?<![\w./\\-])(?P<name>{_NAMES})=(?P<value>'[^']*'|\"\w*\"|\(\d+, \d+\)|\w*)(?![\w./\\-])"
)


def as_options(message: str) -> str:
    """A message of the library in the words of the command line: `--extensions` where it says `extensions=True`.

    Only the advice is changed, what stands behind the last semicolon of a line: what was found, paths above all,
    is not ours.

    Example:
        >>> as_options("foreign=True.nir: found dt 1 s; leave dt out, or pass foreign=True")
        'foreign=True.nir: found dt 1 s; leave dt out, or pass --foreign'
        >>> as_options("found none; pass it, as in read(path, dt='0.1 ms')")
        "found none; pass it, as in --dt '0.1 ms'"
        >>> as_options('cut; take what is there with errors="truncate"')
        'cut; take what is there with --errors truncate'
        >>> as_options("found two; choose with read(path, stream=0)")
        'found two; choose with --read stream=0'
    """

    def option(found: re.Match[str]) -> str:
        name, value = found["given"] or found["name"], (found["by"] or found["value"]).replace('"', "")
        value = re.sub(r"\((\d+), (\d+)\)", r"\1x\2", value)
        if not re.fullmatch(_NAMES, name):  # an option of one format
            return f"{found['example'] or ''}--read {name}={value}"
        said = f"{found['example'] or ''}--{name.replace('_', '-')}"
        return said if value == "True" else f"{said} {value}".rstrip()

    def advised(line: str) -> str:
        found, semicolon, advice = line.rpartition("; ")
        return found + semicolon + (_ARGUMENTS.sub(option, advice) if semicolon else advice)

    return "\n".join(advised(line) for line in message.split("\n"))


@contextmanager
def speaking(as_json: bool) -> Iterator[None]:
    """Turn errors that spikelab raises on purpose, and missing files, into one message and exit 1."""
    try:
        yield
    except (SpikelabError, OSError) as error:
        message = as_options(str(error))
        if isinstance(error, OSError):
            message = f"{error.filename}: {error.strerror}; check the path" if error.filename else str(error)
        if as_json:
            typer.echo(json.dumps({"error": type(error).__name__, "message": message}))
        else:
            typer.echo(f"error: {message}", err=True)
        raise typer.Exit(1) from None
