"""The GPU benchmark: refused without a GPU; its rows, on the CPU; no test asserts seconds."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from spikelab.bench.gpu import cases
from spikelab.bench.lines import Case, Missing
from spikelab.cli.main import app


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_is_refused_with_what_to_do() -> None:
    result = CliRunner().invoke(app, ["bench", "gpu", "--json"])
    assert result.exit_code == 1
    assert "no CUDA device" in result.stdout and "machine with a GPU" in result.stdout


def test_a_back_end_that_raises_is_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class CompilationError(Exception):
        pass

    def broken(**options: Any) -> Any:
        raise CompilationError(f"cannot compile {options['backend']}")

    parts: dict[str, Any] = {
        "functional": SimpleNamespace(),
        "neuron": SimpleNamespace(LIFNode=broken),
        "surrogate": SimpleNamespace(ATan=object),
    }
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, f"spikingjelly.activation_based.{name}", part)
    lines = list(cases(((3, 2, 8),), (torch.float32,), device="cpu", rounds=3, warm=0))
    assert [(line.reference, line.missing) for line in lines if isinstance(line, Missing)] == [
        (f"spikingjelly LIFNode, {b}", f"does not run here: CompilationError: cannot compile {b}")
        for b in ("triton", "cupy")
    ]
    assert sum(isinstance(line, Case) for line in lines) == 2


def test_a_row_says_bytes_share_and_differing_spikes() -> None:
    lines = list(cases(((18, 2, 8),), (torch.float32,), device="cpu", rounds=3, warm=1))
    rows = [line for line in lines if isinstance(line, Case)]
    missing = {line.reference for line in lines if isinstance(line, Missing)}
    assert {r.reference for r in rows[2:]} | missing == {f"spikingjelly LIFNode, {b}" for b in ("triton", "cupy")}
    assert [r.reference for r in rows][:2] == ["copy of as many bytes", "loop over step"]
    counts = rows[0].counts
    assert counts["moved_bytes"] == (5 * 18 * 16 + 2 * 2 * 16) * 4 and counts["differing_spikes"] == 0
    assert counts["share_of_copy"] == pytest.approx(rows[0].reference_s / rows[0].ours_s)
    assert all(r.quartiles[0] <= r.ratio <= r.quartiles[1] for r in rows)
