"""Feed damaged files to one reader by the thousand, in this process or in one that may die without harm.

The worker writes what it does into a small shared file. When it dies, or its counter stands still, the input whose
number stands there is the culprit, and a new worker goes on behind it.
"""

from __future__ import annotations

import gc
import mmap
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from damage import Seed, damaged
from examine import OUTCOMES, examine

__all__ = ["SECONDS", "feed", "supervise", "work"]

SECONDS = 10
ALLOWANCE = 64 << 20
"""[B] what a reader may take for buffers and code, whatever the file's size."""
MULTIPLE = 512
"""Bytes that a reader may take for each byte of the file."""
TRIES = 400
MOST_ALIKE = 3
"""Findings that are kept of those with the same place and class of error."""
NUMBER, FIRST, FINDINGS, PEAK = 0, 1, 1 + len(OUTCOMES), 2 + len(OUTCOMES)
"""Places in the shared file: number of the input, how often each outcome came, findings, most memory [B]."""


def feed(seeds: Sequence[Seed], run: int, numbers: range, keep: Path, state: Any, limit: bool = False) -> None:
    """Damage the seeds of one reader in turn and read what comes out.

    Args:
        seeds: of one reader.
        run: seed of the run.
        numbers: of the inputs.
        keep: folder for the files that a reader stumbled over, shortened while they fail the same way, and the trace.
        state: int64 array of the places above, counted up.
        limit: whether to hold this process to the memory that it has, an allowance, and a multiple of the file.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder, _alarm():
        paths = [Path(folder) / seed.name for seed in seeds]
        for seed, path in zip(seeds, paths, strict=True):  # compiles, too
            path.write_bytes(seed.data)
            for number in range(6):
                outcome = examine(path, seed.reader, False, number)
                if outcome != "read":
                    raise AssertionError(f"{seed.name} is not intact: {outcome}")
        kinds: Counter[tuple[str, ...]] = Counter()
        for number in numbers:
            seed, path = seeds[number % len(seeds)], paths[number % len(seeds)]
            data = damaged(seed, run, number)
            if limit and number % 64 == 0:
                _limit(len(data))
            state[NUMBER] = number
            outcome, trace = _try(data, path, seed.reader, number)
            if trace:
                state[FINDINGS] += 1
                kinds[tuple(_kind(trace))] += 1
                if kinds[tuple(_kind(trace))] > MOST_ALIKE:
                    continue
                _keep(keep, seed, run, number, trace, _shorter(data, path, seed.reader, number, trace))
            else:
                state[FIRST + OUTCOMES.index(outcome)] += 1
        state[PEAK] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _try(data: bytes, path: Path, reader: str, number: int) -> tuple[str, str]:
    """Outcome, and the trace where it is a finding."""
    path.write_bytes(data)
    signal.alarm(SECONDS)
    try:
        return examine(path, reader, number // 2 % 2 == 1, number), ""
    except Exception as error:  # noqa: BLE001
        return type(error).__name__, "".join(traceback.format_exception(error))
    finally:
        signal.alarm(0)


def _shorter(data: bytes, path: Path, reader: str, number: int, trace: str) -> bytes:
    """Leave out what the finding does not need."""
    began, tries, size = time.monotonic(), 0, len(data) // 2
    while size:
        place = len(data)
        while place > 0:
            tries += 1
            if tries > TRIES or time.monotonic() - began > SECONDS:
                return data
            shorter = data[: max(place - size, 0)] + data[place:]
            if _kind(_try(shorter, path, reader, number)[1]) == _kind(trace):
                data = shorter
            place -= size
        size //= 2
    return data


def _kind(trace: str) -> list[str]:
    """The last place in a trace, and the class of the error."""
    places = [line for line in trace.splitlines() if line.startswith("  File ")]
    return [*places[-1:], trace.splitlines()[-1].partition(":")[0] if trace else ""]


def _keep(keep: Path, seed: Seed, run: int, number: int, trace: str, data: bytes) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    stem = f"{seed.reader}-{run}-{number}"
    (keep / f"{stem}{Path(seed.name).suffix}").write_bytes(data)
    (keep / f"{stem}.txt").write_text(f"{seed.name}, run {run}, input {number}\n{trace}", encoding="utf-8")


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"reading took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def _limit(size: int) -> None:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * mmap.PAGESIZE + ALLOWANCE + MULTIPLE * size
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def work(seeds: Sequence[Seed], run: int, numbers: range, keep: Path, state: Path) -> None:
    """Feed, as the worker of `supervise`."""
    feed(seeds, run, numbers, keep, np.memmap(state, np.int64, "r+"), limit=True)


def supervise(reader: str, run: int, count: int, keep: Path, script: Path) -> dict[str, Any]:
    """Feed `count` inputs to a reader in processes of their own.

    Args:
        reader: key of `FORMATS`, or name of a set.
        run: seed of the run.
        count: number of inputs.
        keep: folder for findings.
        script: `fuzz_events.py`.

    Returns:
        How often each outcome came, and findings: `wrong` (an exception or events that must not be),
        `hangs` and `deaths`.
    """
    began, first, hangs, deaths = time.monotonic(), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "state", Path(folder) / "log"
        np.full(PEAK + 1, 0, np.int64).tofile(path)
        state = np.memmap(path, np.int64, "r+")
        while first < count:
            state[NUMBER] = -1
            command = [sys.executable, str(script), "--reader", reader, "--seed", str(run), "--count", str(count)]
            command += ["--first", str(first), "--keep", str(keep), "--state", str(path)]
            with log.open("w") as output:
                worker = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
                stuck = _stuck(worker, state)
            if worker.returncode == 0:
                break
            said = log.read_text(encoding="utf-8", errors="replace")[-4000:]
            at = int(state[NUMBER])
            if at < 0 or not (stuck or worker.returncode < 0):
                raise RuntimeError(f"{reader}: the worker ended before its inputs did: {said}")
            hangs, deaths = hangs + stuck, deaths + (not stuck)
            what = "hangs" if stuck else f"dies by signal {-worker.returncode}"
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{reader}-{run}-{at}.txt").write_text(f"run {run}, input {at}: {what}\n{said}", encoding="utf-8")
            first = at + 1
        outcomes = dict(zip(OUTCOMES, state[FIRST:FINDINGS].tolist(), strict=True))
        seconds = round(time.monotonic() - began, 1)
        findings = {"wrong": int(state[FINDINGS]), "hangs": hangs, "deaths": deaths}
        sizes = {"peak_mib": int(state[PEAK]) >> 20, "seconds": seconds}
    return {"reader": reader, "seed": run, "inputs": count, **outcomes, **findings, **sizes}


def _stuck(worker: subprocess.Popen[Any], state: Any) -> bool:
    """Wait for the end of a worker, or end it when it stands still: inside compiled code no alarm rings."""
    last, since = -2, time.monotonic()
    while worker.poll() is None:
        time.sleep(0.05)
        now = int(state[NUMBER])
        patience = 120 if now < 0 else 4 * SECONDS  # it compiles first; a finding is shortened
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > patience:
            worker.kill()
            worker.wait()
            return True
    return False
