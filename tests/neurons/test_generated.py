"""The cache of generated kernels survives damage, missing rights, forks and a second process."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from spikelab.neurons import generated
from spikelab.neurons.generated import cache_directory

SOURCE = """\
from numba import njit


@njit(cache=True)
def inner(x):
    return x + 1


@njit(cache=True)
def twice(x):
    return 2 * inner(x)
"""
RUN = """\
import os, sys
import numpy as np
from spikelab.neurons import IF
from spikelab.neurons.kernel import kernel

def run(threads):
    k, x = kernel(IF()), np.full((8, 5000), 0.4, np.float32)
    z, end, start = np.empty_like(x), np.empty((1, 5000), np.float32), np.zeros((1, 5000), np.float32)
    none = np.zeros((0, 1, 5000), np.float32)
    k.forward([x], [np.float32(1), np.float32(0)], start[:0], start, z, end, none, 0, threads)
    return z.sum(0).tolist() == [2.0] * 5000
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPIKELAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load() -> ModuleType:
    """As in a new process: past the table of modules that are loaded already."""
    return generated.load.__wrapped__(SOURCE, "test")


def only(directory: Path) -> Path:
    (path,) = directory.glob("*.py")
    return path


def script(text: str, **environment: str) -> subprocess.Popen[str]:
    env = {**os.environ, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", RUN + text], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> None:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


def test_a_module_is_written_once_and_found_again(directory: Path) -> None:
    assert load().twice(3) == 8
    path = only(directory)
    assert path.read_text() == SOURCE and path.stat().st_mtime == 0
    first = path.stat().st_ino
    assert load().twice(3) == 8
    assert path.stat().st_ino == first
    assert sum(load().twice.stats.cache_hits.values()) == 0  # nothing has run yet
    module = load()
    assert module.twice(3) == 8 and sum(module.twice.stats.cache_hits.values()) == 1


def test_python_leaves_no_bytecode_that_could_outlive_its_source(directory: Path) -> None:
    before = sys.dont_write_bytecode
    load()
    assert sys.dont_write_bytecode == before
    assert list(directory.rglob("*.pyc")) == []


@pytest.mark.parametrize("damage", [b"", b"def twice(x):\n    return 0\n", b"\xff\xfe\x00", SOURCE.encode()[:40]])
def test_a_damaged_source_is_replaced(directory: Path, damage: bytes) -> None:
    load()
    only(directory).write_bytes(damage)
    os.utime(only(directory), (0, 0))
    assert load().twice(3) == 8
    assert only(directory).read_text() == SOURCE


def test_a_source_of_another_time_is_replaced_so_that_compiled_code_stays_valid(directory: Path) -> None:
    load().twice(3)
    os.utime(only(directory), (1e9, 1e9))
    module = load()
    assert only(directory).stat().st_mtime == 0
    assert module.twice(3) == 8 and sum(module.twice.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("damage", [b"", b"not a pickle", None])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_damaged_compiled_code_is_made_again(directory: Path, kind: str, damage: bytes | None) -> None:
    load().twice(3)
    files = list(directory.rglob(f"*.{kind}"))
    assert len(files) == 2
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert load().twice(3) == 8
    module = load()
    assert module.twice(3) == 8 and sum(module.twice.stats.cache_hits.values()) == 1


def test_no_temporary_file_is_left(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load().twice(3)
    assert list(directory.rglob("*tmp*")) == []

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    only(directory).unlink()
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        load()
    assert list(directory.glob("*.tmp")) == []


def test_where_nothing_can_be_written_the_module_lives_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file where the directory should be: no user may write there, not even root.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIKELAB_CACHE", str(tmp_path / "file" / "cache"))
    module = load()
    assert module.twice(3) == 8 and not Path(str(module.__file__)).exists()


def test_where_only_compiled_code_cannot_be_written_the_module_lives_in_memory(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    for path in directory.glob("__pycache__/*"):
        path.unlink()
    (directory / "__pycache__").rmdir()
    (directory / "__pycache__").write_text("")
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, str(directory / "__pycache__" / "none"))
    assert load().twice(3) == 8
    assert tmp_path.exists()


def test_a_full_disk_costs_the_cache_but_not_the_run(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(module.twice._cache._kept._cache_file), "save", full)
    assert module.twice(3) == 8


def test_the_directory_is_that_of_the_user_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SPIKELAB_CACHE", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "spikelab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache" / "spikelab"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_directory() == Path.home() / "Library" / "Caches" / "spikelab"


def test_processes_that_compile_at_once_do_not_clash(directory: Path) -> None:
    text = f"from spikelab.neurons.generated import load\nassert load({SOURCE!r}, 'test').twice(3) == 8"
    for process in [script(text, SPIKELAB_CACHE=str(directory)) for _ in range(3)]:
        finish(process)
    assert only(directory).read_text() == SOURCE
    assert list(directory.rglob("*tmp*")) == []
    module = load()
    assert module.twice(3) == 8 and sum(module.twice.stats.cache_hits.values()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_still_computes_and_stays_serial() -> None:
    text = """
from spikelab.neurons.threads import usable
assert usable(2, 10**6) > 1 and run(2)  # starts the threads of the parent
child = os.fork()
if child == 0:
    os._exit(0 if run(2) and usable(2, 10**6) == 1 else 3)
assert os.waitpid(child, 0)[1] == 0
assert usable(2, 10**6) > 1 and run(2)
"""
    finish(script(text, NUMBA_NUM_THREADS="2"))
