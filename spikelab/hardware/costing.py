"""`CostTable`: energies with unit, technology node, basis and source, read from TOML.

A table is a list of figures, each of one thing that is counted (`per`). What is counted is a closed
vocabulary, `COUNTED`: a figure that fits none of it cannot enter a sum. Every figure states where
it was read; a table of your own is a TOML file of the same form, given by its path:

    name = "mine"
    title = "my chip"
    node = "28 nm"

    [sources]
    me = "N. N., My Chip, 2026, Table 2"

    [entry.synapse]
    value = "2.5 pJ"          # a string with its unit
    low = "2 pJ"              # optional
    high = "3 pJ"             # optional
    per = "synaptic event"    # one of COUNTED
    ops = ["Linear"]          # optional: kinds of op that it holds for
    basis = "measured"        # one of BASES
    source = "me"             # a key of [sources]

Arithmetic (`add`, `mul`, ...) also has `number = "fp32"`. `[memory.NAME]` holds the price of an access by
capacity (`MemoryCost`), `[mapping]` how neurons are placed on cores (`Placement`).
"""

from __future__ import annotations

import math
import re
import statistics
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from spikelab.arrays import is_whole
from spikelab.errors import FormatError, UnitError, unknown_name
from spikelab.units import si

__all__ = [
    "BASES",
    "COUNTED",
    "NUMBERS",
    "CostEntry",
    "CostTable",
    "Interval",
    "MemoryCost",
    "Placement",
    "capacity_bytes",
    "cost_table",
    "cost_tables",
]

BASES: Mapping[str, str] = {
    "measured": "on the running chip or board",
    "pre-silicon": "circuit simulation before the chip existed",
    "derived": "worked out from other figures, or typical of a node rather than of one chip",
    "proxy": "a figure of something else, used because there is none",
}
"""How a figure came about."""

COUNTED: Mapping[str, tuple[str, str]] = {
    "add": ("J", "addition: an accumulate (AC), and half of a multiply-accumulate (MAC)"),
    "mul": ("J", "multiplication"),
    "compare": ("J", "comparison in a neuron"),
    "divide": ("J", "division in a neuron"),
    "exp": ("J", "exponential in a neuron"),
    "synaptic event": ("J", "active input of a weighted op and a weight that is not zero"),
    "neuron step": ("J", "neuron and time step, whether anything happens or not"),
    "neuron update": ("J", "neuron and time step with input or a state that is not zero"),
    "spike": ("J", "spike of a neuron"),
    "message": ("J", "spike and core that it goes to"),
    "packet": ("J", "spike that goes anywhere (multicast)"),
    "core": ("W", "core in use, for the time of the run"),
    "chip": ("W", "chip in use, for the time of the run"),
    "extra": ("J", "something that no run counts (a hop): the caller says how often"),
    "extra time": ("W", "something switched on: the caller says how long [s]"),
    "board time": ("W", "board with its chips, in place of figures per chip: the caller says how long [s]"),
}
"""What a figure can be per: unit and meaning."""

NUMBERS: Mapping[str, int] = {"int8": 8, "int16": 16, "int32": 32, "fp16": 16, "fp32": 32}
"""Bits of the number formats of arithmetic."""

_ARITHMETIC = ("add", "mul", "compare", "divide", "exp")
_OP_KINDS = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose", "Linear", "MatMul", "Sparse")
_TYPICAL, _SMALL, _LARGE = 32 * 1024.0, 8 * 1024.0, 1024 * 1024.0  # bytes; the memories of Horowitz, ISSCC 2014
_FOLDER = Path(__file__).parent / "costs"
_CAPACITY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)\s*$")


@dataclass(frozen=True)
class Interval:
    """An energy or power with its bounds.

    Args:
        value: [unit] the one to quote, never without its bounds.
        low, high: [unit] bounds; equal to `value` where the source gives none.
        unit: `"J"` or `"W"`.

    Example:
        >>> e = Interval(2.36e-11, 2e-11, 3e-11)
        >>> f"{e}, {e.bounds}"
        '23.6 pJ, 20 pJ to 30 pJ'
    """

    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    unit: str = "J"

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.value + other.value, self.low + other.low, self.high + other.high, self.unit)

    def __truediv__(self, n: float) -> Interval:
        return Interval(self.value / n, self.low / n, self.high / n, self.unit)

    def __str__(self) -> str:
        return _text(self.value, self.unit)

    @property
    def bounds(self) -> str:
        """Text of the bounds; empty if there are none."""
        return "" if self.low == self.high else f"{_text(self.low, self.unit)} to {_text(self.high, self.unit)}"


def _text(x: float, unit: str) -> str:
    """Four digits and the prefix that fits."""
    for factor, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")):
        if abs(x) >= factor * 0.99995:
            return f"{x / factor:.4g} {prefix}{unit}"
    return f"{x / 1e-12:.4g} p{unit}"


@dataclass(frozen=True)
class CostEntry:
    """One figure.

    Args:
        name: key in the table.
        each: [J] energy of one, or [W] power of one for a unit of time.
        per: what is counted, a key of `COUNTED`.
        basis: a key of `BASES`.
        source: citation, or file read.
        node: technology node, e.g. `"45 nm"`.
        number: number format of arithmetic, e.g. `"fp32"`; else empty.
        ops: kinds of op that it holds for; empty for all.
        note: what else to know.
    """

    name: str
    each: Interval
    per: str
    basis: str
    source: str
    node: str
    number: str = ""
    ops: tuple[str, ...] = ()
    note: str = ""

    @property
    def given(self) -> bool:
        """Whether the caller says how often or how long."""
        return self.per in ("extra", "extra time", "board time")


@dataclass(frozen=True)
class MemoryCost:
    """Energy of a memory access as a function of the capacity.

    Args:
        name: key in the table.
        level: `"sram"`, `"dram"` or `"flat"`; the readings of one level together give its bounds.
        points: (capacity [bytes], energy [J]) of one access; linear between, constant beyond the last.
        per_bit: [J] added per bit of capacity.
        word_bits: bits that one access delivers.
        shared: whether narrower words share an access (a 32-bit word out of 64 costs half).
        basis, source, node, note: as in `CostEntry`.
    """

    name: str
    level: str
    points: tuple[tuple[float, float], ...]
    per_bit: float
    word_bits: int
    shared: bool
    basis: str
    source: str
    node: str
    note: str = ""

    def access(self, capacity: float, bits: int) -> float:
        """[J] energy of reading or writing one word of `bits` in a memory of `capacity` bytes."""
        before, energy = self.points[0]
        for at, value in self.points:
            if before < capacity:
                share = min(1.0, (capacity - before) / (at - before)) if at > before else 1.0
                energy += (value - energy) * share
            before = at
        words = bits / self.word_bits
        return (energy + self.per_bit * 8 * capacity) * (words if self.shared else math.ceil(words))


@dataclass(frozen=True)
class Placement:
    """How neurons are placed on cores; populations share no core.

    Args:
        neurons_per_core: neurons on one core.
        cores_per_chip: cores that a chip has for neurons.
        basis, source, note: as in `CostEntry`.
    """

    neurons_per_core: int
    cores_per_chip: int
    basis: str
    source: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class CostTable:
    """Energies of one technology or chip, in one accounting; tables are never mixed.

    Args:
        name: short name.
        title: what it is.
        node: technology node.
        entries: by name.
        memory: prices of memory accesses by name.
        mapping: placement on cores, where the accounting needs it.
        note: what the table covers and what not.

    Example:
        >>> cost_table("45nm").arithmetic("add", "fp32").each.value
        9e-13
    """

    name: str
    title: str
    node: str
    entries: Mapping[str, CostEntry]
    memory: Mapping[str, MemoryCost]
    mapping: Placement | None = None
    note: str = ""

    def per(self, counted: str) -> tuple[CostEntry, ...]:
        """All figures per something, in the order of the table."""
        return tuple(e for e in self.entries.values() if e.per == counted)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Number formats that arithmetic is given for."""
        return tuple(sorted({e.number for e in self.entries.values() if e.number}))

    def arithmetic(self, kind: str, number: str) -> CostEntry | None:
        """Figure of `add`, `mul`, `compare`, ... in a number format, or None."""
        return next((e for e in self.per(kind) if e.number == number), None)

    def mac(self, number: str) -> CostEntry | None:
        """Figure of a multiply-accumulate, `mul` and `add`, or None."""
        mul, add = self.arithmetic("mul", number), self.arithmetic("add", number)
        if mul is None or add is None:
            return None
        basis, source = (_joined((mul, add), key) for key in ("basis", "source"))
        return replace(mul, name="mac", each=mul.each + add.each, basis=basis, source=source)

    def synapse(self, op_kind: str) -> CostEntry | None:
        """Figure of a synaptic event of a kind of op, or None."""
        return next((e for e in self.per("synaptic event") if not e.ops or op_kind in e.ops), None)

    def readings(self, memory: str) -> tuple[MemoryCost, ...]:
        """Prices of a level (`"sram"`), or the one of that name; an unknown name is refused."""
        found = tuple(m for m in self.memory.values() if memory in (m.name, m.level))
        if not found:
            known = {name for m in self.memory.values() for name in (m.name, m.level)}
            raise unknown_name(f"cost table {self.name}: memory", memory, known)
        return found

    def access(self, memory: str, bits: int, capacity: float | str | None = None) -> CostEntry:
        """Figure of one access to a word: the median of the readings, with the least and the most of them.

        Args:
            memory: a level or one reading.
            bits: width of the word.
            capacity: bytes, or `"64 KiB"`; None takes 32 KiB with bounds from 8 KiB to 1 MiB.

        Example:
            >>> cost_table("45nm").access("sram", bits=32, capacity="8 KiB").each.bounds  # three readings
            '5 pJ to 13.91 pJ'
        """
        sizes = (_TYPICAL, _SMALL, _LARGE) if capacity is None else (capacity_bytes(capacity),)
        found = self.readings(memory)
        every = [m.access(size, bits) for m in found for size in sizes]
        each = Interval(statistics.median(m.access(sizes[0], bits) for m in found), min(every), max(every))
        return CostEntry(memory, each, "memory access", _joined(found, "basis"), _joined(found, "source"), self.node)


def _joined(figures: Iterable[CostEntry | MemoryCost], key: str) -> str:
    return "; ".join(dict.fromkeys(getattr(e, key) for e in figures))


def cost_tables() -> tuple[str, ...]:
    """Names of the tables that come with spikelab.

    Example:
        >>> cost_tables()
        ('45nm', 'loihi-2018', 'spinnaker-1')
    """
    return tuple(sorted(p.stem for p in _FOLDER.glob("*.toml")))


def cost_table(name_or_path: str | PathLike[str] | CostTable) -> CostTable:
    """Load a table by name, or a TOML file by path (anything that ends in `.toml`).

    Args:
        name_or_path: one of `cost_tables()`, a path, or a table, which comes back as it is.

    Raises:
        UnsupportedError: an unknown name.
        FormatError: no such file, not TOML, an unknown or missing key or name.
        UnitError: a value without unit, in another unit, below zero or outside its bounds.

    Example:
        >>> cost_table("loihi-2018").node
        '14 nm'
    """
    if isinstance(name_or_path, CostTable):
        return name_or_path
    path = fspath(name_or_path) if isinstance(name_or_path, str | PathLike) else repr(name_or_path)
    if not path.endswith(".toml"):
        if path not in cost_tables():
            raise unknown_name("cost table", path, (*cost_tables(), "your own PATH.toml"))
        path = str(_FOLDER / f"{path}.toml")
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
    except OSError as error:
        raise FormatError(path, f"{error.strerror}; give a path or one of {', '.join(cost_tables())}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(path, f"not TOML: {error}; spikelab/hardware/costing.py shows the form") from None
    return _Reader(path, data).table()


def capacity_bytes(value: float | str, where: str = "capacity") -> float:
    """Bytes of a memory: a number, or a string such as `"32 KiB"`.

    Raises:
        UnitError: no such unit, or not above zero.

    Example:
        >>> capacity_bytes("32 KiB")
        32768.0
    """
    if isinstance(value, str) and (match := _CAPACITY.match(value)):
        value = float(match[1]) * 1024.0 ** ("B", "KiB", "MiB", "GiB").index(match[2])
    if isinstance(value, bool | str) or not math.isfinite(value) or value <= 0:
        raise UnitError(f"{where}: found {value!r}; expected bytes above zero, or B, KiB, MiB, GiB as in '32 KiB'")
    return float(value)


class _Reader:
    """Checks one parsed file; every complaint names file, section and key."""

    def __init__(self, path: str, data: Mapping[str, Any]):
        self.path, self.data = path, data

    def table(self) -> CostTable:
        needed, optional = {"name", "title", "node", "sources", "entry"}, {"note", "memory", "mapping"}
        top = self.keys("table", self.data, needed, optional)
        self.sources = {k: self.text("sources", self.section("sources"), k) for k in self.section("sources")}
        self.node = self.text("table", top, "node")
        entries = {n: self.entry(n, s) for n, s in self.section("entry").items()}
        self.check(entries)
        memory = {n: self.memory(n, s) for n, s in self.section("memory").items()}
        name, title, note = (self.text("table", top, key) for key in ("name", "title", "note"))
        mapping = self.mapping(self.section("mapping")) if "mapping" in top else None
        return CostTable(name, title, self.node, MappingProxyType(entries), MappingProxyType(memory), mapping, note)

    def refuse(self, where: str, found: str, expected: str, advice: str) -> NoReturn:
        raise FormatError(self.path, f"{where}: found {found}; expected {expected}; {advice}")

    def keys(self, where: str, section: Any, needed: set[str], optional: set[str]) -> Mapping[str, Any]:
        if not isinstance(section, Mapping):
            self.refuse(where, repr(section), "a section with keys", "write it as [section.NAME]")
        for key in section:
            if key not in needed | optional:
                raise FormatError(self.path, str(unknown_name(f"{where}: key", key, needed | optional)))
        for key in sorted(needed - set(section)):
            self.refuse(where, f"no {key}", f"the keys {', '.join(sorted(needed))}", f"add {key} = ...")
        return section

    def section(self, key: str) -> Mapping[str, Any]:
        section = self.data.get(key, {})
        return self.keys(key, section, set(), set(section) if isinstance(section, Mapping) else set())

    def text(self, where: str, section: Mapping[str, Any], key: str, known: Collection[str] | None = None) -> str:
        """Text of a key; the notes alone may be missing."""
        value = section.get(key, "" if key == "note" else None)
        if not isinstance(value, str) or not (value.strip() or key == "note"):
            self.refuse(f"{where}.{key}", repr(value), "a text", 'write it in quotes, as in node = "45 nm"')
        if known is not None and value not in known:
            raise FormatError(self.path, str(unknown_name(f"{where}.{key}:", value, known)))
        return value

    def origin(self, where: str, section: Mapping[str, Any]) -> dict[str, str]:
        """Basis, source, node and note."""
        return {
            "basis": self.text(where, section, "basis", BASES),
            "source": self.sources[self.text(where, section, "source", self.sources)],
            "node": self.text(where, {"node": self.node} | dict(section), "node"),
            "note": self.text(where, section, "note"),
        }

    def quantity(self, where: str, value: Any, unit: str) -> float:
        if not isinstance(value, str):
            raise UnitError(f"{self.path}: {where}: found {value!r}; expected a text with a unit, as in '2 p{unit}'")
        try:
            number = si(value, unit, where)
        except UnitError as error:
            raise UnitError(f"{self.path}: {where}: {str(error).removeprefix(f'{where}: ')}") from None
        if number < 0:
            raise UnitError(f"{self.path}: {where}: found {value!r}; expected at least 0 {unit}")
        return number

    def whole(self, where: str, value: Any, least: int = 1) -> int:
        if not is_whole(value) or value < least:
            self.refuse(where, repr(value), f"a whole number of at least {least}", "write it without quotes")
        return int(value)

    def entry(self, name: str, section: Any) -> CostEntry:
        where = f"entry.{name}"
        optional = {"low", "high", "node", "note", "number", "ops"}
        section = self.keys(where, section, {"value", "per", "basis", "source"}, optional)
        per = self.text(where, section, "per", COUNTED)
        unit = COUNTED[per][0]
        if (per in _ARITHMETIC) != ("number" in section):
            expected = f"number = one of {', '.join(NUMBERS)}" if per in _ARITHMETIC else "no number"
            found = f"per = {per!r}, number = {section.get('number')!r}"
            self.refuse(where, found, expected, "arithmetic has a number format, nothing else")
        ops = section.get("ops", [])
        if not isinstance(ops, list) or (ops and per != "synaptic event"):
            self.refuse(f"{where}.ops", repr(ops), "a list of op kinds, per 'synaptic event'", "leave it out")
        for op in ops:
            self.text(f"{where}.ops", {"kind": op}, "kind", _OP_KINDS)
        texts = [(f"{where}.{key}", section.get(key, section["value"])) for key in ("value", "low", "high")]
        value, low, high = (self.quantity(place, text, unit) for place, text in texts)
        if not low <= value <= high:
            raise UnitError(
                f"{self.path}: {where}: found {low} to {high} around {value}; expected low <= value <= high"
            )
        number = self.text(where, section, "number", NUMBERS) if "number" in section else ""
        each = Interval(value, low, high, unit)
        return CostEntry(name, each, per, number=number, ops=tuple(ops), **self.origin(where, section))

    def check(self, entries: Mapping[str, CostEntry]) -> None:
        """One figure for each thing; a mapping for what lives on cores."""
        if not entries:
            self.refuse("entry", "none", "one [entry.NAME] at least", "add the figures")
        twice = {e.per for e in entries.values()} & {"synaptic event", "neuron step", "neuron update"}
        if twice and any(e.number for e in entries.values()):
            self.refuse("entry", f"arithmetic and {', '.join(sorted(twice))}", "one accounting", "make two tables")
        seen: dict[tuple[str, str, str], str] = {}
        for e in entries.values():
            if e.per in ("message", "core", "chip") and "mapping" not in self.data:
                self.refuse(f"entry.{e.name}", f"a figure per {e.per} and no [mapping]", "one", "add it")
            for op in (e.ops or _OP_KINDS) if e.per == "synaptic event" else ("",):
                other = seen.setdefault((e.per, e.number, op), e.name)
                if other != e.name and not e.given:
                    what = " ".join(x for x in (e.number, e.per, op) if x)
                    self.refuse(f"entry.{e.name}", f"a second figure per {what} beside {other}", "one", "leave one out")

    def memory(self, name: str, section: Any) -> MemoryCost:
        where = f"memory.{name}"
        needed = {"level", "points", "word_bits", "shared", "basis", "source"}
        section = self.keys(where, section, needed, {"per_bit", "node", "note"})
        points: list[tuple[float, float]] = []
        given = section["points"]
        if not isinstance(given, list) or not given or not all(isinstance(p, list) and len(p) == 2 for p in given):
            self.refuse(f"{where}.points", repr(given), "bytes and energies", 'write them as [[8192, "10 pJ"]]')
        for at, value in given:
            least = int(points[-1][0]) + 1 if points else 0
            points.append((self.whole(f"{where}.points", at, least), self.quantity(f"{where}.points", value, "J")))
        if not isinstance(section["shared"], bool):
            self.refuse(f"{where}.shared", repr(section["shared"]), "true or false", "write it without quotes")
        level = self.text(where, section, "level", ("sram", "dram", "flat"))
        per_bit = self.quantity(f"{where}.per_bit", section.get("per_bit", "0 J"), "J")
        bits = self.whole(f"{where}.word_bits", section["word_bits"])
        return MemoryCost(name, level, tuple(points), per_bit, bits, section["shared"], **self.origin(where, section))

    def mapping(self, section: Mapping[str, Any]) -> Placement:
        self.keys("mapping", section, {"neurons_per_core", "cores_per_chip", "basis", "source"}, {"note"})
        neurons, cores = (self.whole(f"mapping.{key}", section[key]) for key in ("neurons_per_core", "cores_per_chip"))
        origin = self.origin("mapping", section)
        return Placement(neurons, cores, origin["basis"], origin["source"], origin["note"])
