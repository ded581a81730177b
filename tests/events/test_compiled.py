"""A kernel kept on the disk is compiled anew when what it imports has changed, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_INNER = """
from pair.numbers import STEP, TABLE
from spikelab.events.compiled import compiled, inlined

@inlined
def step(x):
    return x + STEP

@compiled
def add(x):
    return x + STEP + TABLE[1]
"""
_OUTER = """
from pair.inner import add, step
from spikelab.events.compiled import compiled

@compiled
def both(x):
    return add(x) + step(x)
"""
_ASK = """
from pair.inner import add
from pair.outer import both
assert add.py_func.__qualname__ == "add"
print(add(100), both(1000), sum(add.stats.cache_hits.values()), sum(both.stats.cache_hits.values()))
"""


def _ask(folder: Path) -> list[int]:
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(folder / "kept")}
    done = subprocess.run([sys.executable, "-B", "-c", _ASK], env=environment, check=True, capture_output=True)
    return [int(number) for number in done.stdout.split()]


def test_kernels_follow_the_constants_that_they_import(tmp_path: Path) -> None:
    package = tmp_path / "pair"
    package.mkdir()
    numbers = package / "numbers.py"
    for name, text in {"__init__": "", "inner": _INNER, "outer": _OUTER}.items():
        (package / f"{name}.py").write_text(text)
    numbers.write_text("import numpy as np\nSTEP = 1\nTABLE = np.array([0, 5])\n")
    assert _ask(tmp_path) == [106, 2007, 0, 0]
    assert _ask(tmp_path) == [106, 2007, 1, 1]
    numbers.write_text(numbers.read_text().replace("STEP = 1", "STEP = 2"))
    assert _ask(tmp_path) == [107, 2009, 0, 0]
    numbers.write_text(numbers.read_text().replace("5", "7"))
    assert _ask(tmp_path) == [109, 2011, 0, 0]
    (package / "inner.py").write_text(_INNER.replace("return x + STEP\n", "return x - STEP\n"))
    assert _ask(tmp_path) == [109, 2007, 0, 0]
