"""What NIR cannot say is refused with all its places, before a byte is written, or written on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikelab.errors import FormatError, UnsupportedError
from spikelab.hardware.loss import LayerLoss, LossReport
from spikelab.hardware.nir import read, write
from spikelab.hardware.nir.graph import reading_order
from spikelab.hardware.nir.readback import differences
from spikelab.network import Network, Population, Projection
from spikelab.neurons import IF, LIF, CubaLIF
from spikelab.ops import Linear, Op


def net(model: Any = None, delay: Any = 0, ops: tuple[Op, ...] = (Linear(np.eye(3)),), **initial: Any) -> Network:
    populations = {"in": Population((3,), kind="input"), "out": Population((3,), model or LIF(), initial=initial)}
    return Network(populations, [Projection("in", "out", ops, delay=delay)], 1e-3)


def ring(closing: str) -> Network:
    """in -> a -> b -> a, with the output behind a: readers close the loop at a -> b."""
    populations = {"in": Population((3,), kind="input")}
    populations |= {n: Population((3,), LIF()) for n in ("a", "b", "out")}
    pairs = [("in", "a"), ("a", "b"), ("b", "a"), ("a", "out")]
    return Network(populations, [Projection(p, q, delay=int(f"{p}{q}" == closing)) for p, q in pairs], 1e-3)


CASES = {
    "reset_is_hard": net(LIF(reset="soft")),
    "comparison_is_strict": net(CubaLIF(comparison=">=")),
    "state_starts_at_rest": net(LIF(), v=0.5),
    "delay_is_per_projection": net(delay=np.eye(3, dtype=int)),
    "loops_close_where_readers_close_them": ring("ba"),
}


@pytest.mark.parametrize("rule", CASES)
def test_each_rule_refuses_and_extensions_lift_it(rule: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    with pytest.raises(UnsupportedError) as caught:
        write(CASES[rule], path)
    assert [v.rule for v in caught.value.violations] == [rule]
    assert "extensions=True" in caught.value.violations[0].advice
    assert list(tmp_path.iterdir()) == []
    report = write(CASES[rule], path, extensions=True)
    assert differences(CASES[rule], read(path)) == []
    assert any(rule in note for note in report.notes)
    assert all(any(rule in reason for reason in why) for why in report.readers.values())


def test_all_violations_are_listed_at_once(tmp_path: Path) -> None:
    model = LIF(reset="soft", comparison=">=", spikes="many")
    with pytest.raises(UnsupportedError) as caught:
        write(net(model, delay=np.eye(3, dtype=int), v=1.0), tmp_path / "a.nir")
    assert {v.rule for v in caught.value.violations} == {
        "reset_is_hard",
        "comparison_is_strict",
        "one_spike_per_step",
        "state_starts_at_rest",
        "delay_is_per_projection",
    }


def test_the_delay_of_a_loop_may_stand_where_readers_close_it(tmp_path: Path) -> None:
    write(ring("ab"), tmp_path / "a.nir")
    bare = read(tmp_path / "a.nir", foreign=True)
    assert {(p.pre, p.post): p.delay for p in bare.projections}[("a", "b")] == 1


def test_start_values_that_readers_take_anyway_are_no_violation(tmp_path: Path) -> None:
    write(net(LIF(v_leak=0.5), v=0.5), tmp_path / "a.nir")
    write(net(IF(v_reset=0.5), v=0.0), tmp_path / "a.nir")
    with pytest.raises(UnsupportedError, match="state_starts_at_rest"):
        write(net(IF(v_reset=0.5)), tmp_path / "a.nir")


def test_unknown_neurons_and_ops_are_never_written(tmp_path: Path) -> None:
    class OwnLIF(LIF):
        pass

    class OwnLinear(Linear):
        pass

    for bad, rule in ((net(OwnLIF()), "neuron_is_known"), (net(ops=(OwnLinear(np.eye(3)),)), "op_is_known")):
        with pytest.raises(UnsupportedError, match=rule):
            write(bad, tmp_path / "a.nir", extensions=True)
    with pytest.raises(UnsupportedError, match="if_convention_is_known"):
        write(net(), tmp_path / "a.nir", if_convention="other")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="field_fits_float32"):
        write(net(LIF(v_threshold=1e39)), tmp_path / "a.nir")


def test_reading_order_of_a_long_chain_needs_no_recursion() -> None:
    names = [str(k) for k in range(20_000)]
    edges = [(a, b) for a, b in zip(names, names[1:], strict=False)]  # noqa: RUF007
    assert reading_order(names, edges, names[-1:])["0"] == 0


def test_a_loss_report_prints_what_was_lost() -> None:
    layers = (
        LayerLoss("in->a", "projection", ("rounded to 8 bits",), 0.01, clipped=3, rounded_to_zero=7),
        LayerLoss("a", "population", dead=2, saturated=0),
    )
    report = LossReport("chip", "a.net", layers, agreement={"spike_f1": 0.98765})
    assert not report.exact and report.weight_error == 0.01
    assert str(report).splitlines() == [
        "chip: a.net; weight error 0.01",
        "in->a: rounded to 8 bits; 3 clipped; 7 rounded to zero; weight error 0.01",
        "a: 2 dead neurons",
        "spike_f1: 0.9877",
    ]


@pytest.mark.parametrize("wrong", [torch.nn.Linear(2, 2), None, "net", Population((2,), kind="input"), Network])
def test_what_is_no_network_is_not_written(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"write: found .*; expected a Network; .* nn\.to_network"):
        write(wrong, tmp_path / "a.nir")


@pytest.mark.parametrize("path", [None, 3, b"a.nir", "", torch.nn.Linear(2, 2)])
def test_what_is_no_file_name_is_refused(path: Any) -> None:
    for use in (lambda: write(net(IF()), path), lambda: read(path)):
        with pytest.raises(FormatError, match="is no file name; expected text or a Path"):
            use()
