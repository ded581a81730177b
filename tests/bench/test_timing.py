"""The measuring itself: steps alternate, figures are medians of their ratio; no test asserts seconds."""

from __future__ import annotations

import json
from typing import Any

import torch

from spikelab.bench.lines import Case, Missing, Size
from spikelab.bench.memory import kept_bytes
from spikelab.bench.timing import Evict, Reference, Settings, alternate, compare

SHORT = Settings(rounds=3, warm=1, threads=1)


def noted(calls: list[str], name: str) -> Any:
    return lambda: calls.append(name)


def test_steps_alternate_and_only_those_behind_the_warm_rounds_count() -> None:
    calls: list[str] = []
    steps = [noted(calls, name) for name in ("ours", "a", "b")]
    times = alternate(steps, rounds=5, warm=2, between=noted(calls, "between"))
    assert calls == ["between", "ours", "between", "a", "between", "b"] * 7
    assert times.shape == (5, 3) and (times >= 0).all()


def test_there_is_one_line_per_reference_with_all_that_is_promised() -> None:
    calls: list[str] = []
    references = [Reference(name, lambda n=name: noted(calls, n), ("numpy",)) for name in ("a", "b")]  # type: ignore[misc]
    lines = list(compare("case", lambda: noted(calls, "ours"), references, {"n": 1}, SHORT))
    assert calls == ["ours", "a", "b"] * 4
    assert [line.reference for line in lines] == ["a", "b"]
    for line in lines:
        assert isinstance(line, Case)
        found = json.loads(line.line())
        assert set(found) >= {"case", "reference", "ours_s", "reference_s", "ratio", "quartiles", "versions", "counts"}
        assert found["quartiles"][0] <= found["ratio"] <= found["quartiles"][1]
        assert found["rounds"] == 3 and found["counts"] == {"n": 1, "threads": 1}
        assert {"python", "torch", "numba", "numpy"} <= set(found["versions"])
        assert line.text().startswith("case: ") and line.reference in line.text()


def test_what_is_not_installed_or_does_not_run_is_named_and_the_rest_is_measured() -> None:
    def broken() -> Any:
        raise ImportError("no such symbol")

    calls: list[str] = []
    references = [
        Reference("absent", broken, ("numpy", "no-such-package")),
        Reference("broken", broken),
        Reference("there", lambda: noted(calls, "there")),
    ]
    absent, bad, there = compare("case", lambda: noted(calls, "ours"), references, {}, SHORT)
    assert isinstance(absent, Missing) and absent.missing == "not installed: no-such-package; make bench-peers"
    assert isinstance(bad, Missing) and bad.missing == "does not run here: no such symbol"
    assert json.loads(bad.line())["reference"] == "broken" and "no such symbol" in bad.text()
    assert isinstance(there, Case) and calls == ["ours", "there"] * 4


def test_only_chooses_cases_and_references_and_builds_nothing_else() -> None:
    built: list[str] = []

    def reference(name: str) -> Reference:
        return Reference(name, lambda: (built.append(name), list)[1])  # type: ignore[func-returns-value]

    def chosen(*only: str) -> list[str]:
        built.clear()
        references = [reference("norse"), reference("memory bound")]
        lines = compare(
            "LIF", lambda: (built.append("ours"), list)[1], references, {}, Settings(rounds=3, warm=0, only=only)
        )  # type: ignore[func-returns-value]
        return [line.reference for line in lines]

    assert chosen("bound") == ["memory bound"] and built == ["memory bound", "ours"]
    assert chosen("lif") == ["norse", "memory bound"]
    assert chosen("conv") == [] and built == []
    assert chosen("conv", "NORSE") == ["norse"]


def test_threads_are_set_for_a_while_only() -> None:
    before = torch.get_num_threads()
    with SHORT.in_force():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_evicting_touches_more_than_the_last_cache() -> None:
    between = Evict()
    between()
    assert between.buffer.nbytes >= 128 << 20 and (between.buffer[:: 1 << 20] == 1.0).all()


def test_kept_bytes_are_those_that_autograd_saves_beyond_input_and_output() -> None:
    x = torch.ones(10, 4)
    assert kept_bytes(lambda x: x.exp(), x) == 0  # it saves its output
    assert kept_bytes(lambda x: x.square(), x) == 0  # its input
    assert kept_bytes(lambda x: x.exp().sin(), x) == 160  # the exponential, once, although two need it
    assert kept_bytes(lambda x: (x.exp().sin().sum(0), "state"), x) == 160
    assert kept_bytes(lambda x: x.exp().exp().exp(), x) == 320


def test_sizes_say_both_and_their_ratio() -> None:
    line = Size.of("kept", "loop", 1_000_000, 4_000_000, {"n": 1})
    assert line.ratio == 0.25 and json.loads(line.line())["ours_bytes"] == 1_000_000
    assert line.text() == "kept: 1.00 MB; loop: 4.00 MB; ratio 0.250"
    assert Size.of("kept", "nothing", 5, 0, {}).ratio is None
