"""Ours and the plain loops do the same work: the same spikes, losses and gradients from the same weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from spikelab import neurons, nn
from spikelab.bench import conv, loops, memory, models, neuron, shd
from spikelab.bench.lines import Case, Line, Missing, Size
from spikelab.bench.peers import PEERS, peers
from spikelab.bench.tasks import DT, ConvTask, NeuronTask, ShdTask, passes
from spikelab.bench.timing import Settings

SHORT = Settings(rounds=3, warm=1, threads=1)
SMALL_SHD: dict[str, int] = {"steps": 12, "samples": 4, "inputs": 60, "hidden": 16, "classes": 5}
SMALL_CONV: dict[str, Any] = {"steps": 4, "samples": 3, "channels": (2, 4, 5, 6), "size": 8, "classes": 3}


def test_lif_and_cuba_lif_equal_their_plain_loops() -> None:
    task = NeuronTask.sized(20, 3, 16)
    known: dict[str, Any] = {"reset": "soft", "dt": DT, "tau_mem": task.tau_mem, "surrogate": nn.SuperSpike(10.0)}
    pairs = [
        (nn.LIF(**known), lambda x: loops.lif(x, task.decay)),
        (nn.CubaLIF(tau_syn=task.tau_syn, **known), lambda x: loops.cuba_lif(x, task.decay_syn, task.decay)),
    ]
    for layer, loop in pairs:
        mine, theirs = (task.x.clone().requires_grad_(True) for _ in range(2))
        (y, _), z = layer(mine), loop(theirs)
        assert torch.equal(y, z) and 0.02 < float(y.detach().mean()) < 0.5
        y.backward(task.g)
        z.backward(task.g)
        assert mine.grad is not None and theirs.grad is not None
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("task", "module"), [(ShdTask.sized(activity=0.1, **SMALL_SHD), shd), (ConvTask.sized(**SMALL_CONV), conv)]
)
def test_training_steps_equal_those_of_the_plain_loop(task: Any, module: Any) -> None:
    ours, loop = module.ours(task), module.loop(task)
    mine, theirs = ([float(step()) for _ in range(4)] for step in (ours, loop))
    assert mine == pytest.approx(theirs, rel=1e-5)
    assert mine[0] > mine[-1] and abs(mine[0] - math.log(len(set(task.labels.tolist())))) > 1e-4  # alive, and learning


def test_the_tasks_are_alive_at_full_size() -> None:
    """Neither silent nor always on, at every activity: else the peers' work would not be comparable."""
    for activity in (0.01, 0.2):
        task = ShdTask.sized(samples=4, activity=activity)
        assert float(task.x.mean()) == pytest.approx(activity, rel=0.05)
        net = loops.ShdNet(task)
        with torch.no_grad():
            assert 0.01 < float(net.hidden(net.w_in(task.x)).mean()) < 0.3
    convolutions = ConvTask.sized(samples=2)
    net = loops.ConvNet(convolutions, [loops.HardLIF(convolutions.decay) for _ in convolutions.kernels])
    rates: list[float] = []
    for layer in net.neurons:
        layer.register_forward_hook(lambda _m, _x, z: rates.append(float(z.mean())))
    with torch.no_grad():
        net(convolutions.x)
    assert len(rates) == 3 and all(0.01 < rate < 0.5 for rate in rates)


def test_passes_give_every_port_its_gradient() -> None:
    x = torch.ones(3, 2, 4)
    seen: list[Any] = []
    step = passes(lambda x: (seen.append(x), x * 2.0)[1], x, torch.ones_like(x))  # type: ignore[func-returns-value]
    step()
    step()
    assert torch.equal(seen[0].grad, torch.full_like(x, 2.0)) and not x.requires_grad


def test_every_model_is_measured_and_is_driven_to_spike() -> None:
    found = models.models()
    assert set(found) == {n for n in neurons.__all__ if n not in ("NeuronModel", "Port", "choice", "parameter")}
    for model in found.values():
        scale, share = models.drive(model, steps=50)
        assert scale > 0 and (share == 0.0 or models.LOW <= share <= models.HIGH)
    assert models.drive(found["LIF"])[1] > 0 and models.drive(found["LI"]) == (1.0, 0.0)


def lines_of(cases: Any) -> list[Line]:
    found = list(cases)
    for line in found:
        assert line.text() and line.line()
        assert isinstance(line, Missing | Size) or (isinstance(line, Case) and line.ratio > 0)
    return found


def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without peers."""
    import spikelab.bench.timing

    there = spikelab.bench.timing.installed
    monkeypatch.setattr(
        spikelab.bench.timing, "installed", lambda name: there(name) and not any(name in p for p in PEERS.values())
    )


def test_neuron_cases_run_without_peers_and_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch)
    words = ("LIF forward+backward: plain", "LIF forward+backward: memory", "bytes kept", *PEERS)
    found = lines_of(neuron.cases(Settings(3, 1, 1, words), 5, 2, 8))
    assert [line.reference for line in found if isinstance(line, Missing)] == list(PEERS)
    assert all("make bench-peers" in line.missing for line in found if isinstance(line, Missing))
    timed = [(line.case, line.reference) for line in found if isinstance(line, Case)]
    loop = "plain torch loop over unbind"
    assert ("LIF forward+backward", loop) in timed and ("CubaLIF forward+backward", loop) in timed
    sizes = {(line.case, line.reference): line for line in found if isinstance(line, Size)}
    assert all(
        sizes["LIF, recompute, bytes kept for the backward", r].ours_bytes < 64
        for r in ("one tensor of the input's size", loop)
    )
    of_loop = sizes["LIF, bytes kept for the backward", loop]
    assert of_loop.reference_bytes == 5 * 2 * 8 * 4  # the distance from the threshold, each step


def test_shd_and_conv_cases_run_without_peers_and_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch)
    found = lines_of(shd.cases(SHORT, (0.05, 0.2), **SMALL_SHD))
    assert [line.reference for line in found if isinstance(line, Missing)] == list(PEERS) * 2
    timed = [line for line in found if isinstance(line, Case)]
    assert [line.counts["activity"] for line in timed] == [0.05] * 3 + [0.2] * 3 + [0.05]
    assert timed[-1].counts["steps"] == 48
    found = lines_of(conv.cases(Settings(3, 1, 1, ("conv step: ", "T=16")), **SMALL_CONV))
    assert [line.reference for line in found if isinstance(line, Missing)] == list(PEERS)
    assert len([line for line in found if isinstance(line, Case)]) == 3


def test_the_peak_is_that_of_a_process_of_its_own() -> None:
    found = memory.peak_bytes("loop", 1, {**SMALL_CONV, "channels": list(SMALL_CONV["channels"])})
    assert 0 <= found["above"] < found["peak"] and found["peak"] > 50 << 20


def test_there_is_one_reference_per_peer_and_task() -> None:
    for task in (NeuronTask.sized(2, 2, 2), ShdTask.sized(**SMALL_SHD), ConvTask.sized(**SMALL_CONV)):
        assert [r.name for r in peers(task, SHORT)] == list(PEERS)
