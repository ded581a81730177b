"""Event counts and energies of SANA-FE on small dense networks: makes `sanafe_loihi.json`.

    python3.11 -m venv V; V/bin/pip install sanafe==2.2.9 numpy
    V/bin/python make_sanafe_loihi.py ORACLE_DIR sanafe_loihi.json     (ORACLE_DIR: .../oracles/chips/sanafe)

Each case runs feed-forward layers of SANA-FE's Loihi LIF in its built-in Loihi architecture. Stored are
what happened (spikes, updates, synaptic events, messages, hops) and the energies that SANA-FE gives.
Updates per layer follow its rule (a soma is updated if its potential was not zero or a current
arrived), rebuilt from the traces; the script fails if they do not add up to SANA-FE's own total.
"""

import json
import sys
from pathlib import Path

import numpy as np
import sanafe


def run(weights, threshold, leak, x, cores):
    """One case; cores[layer] lists the (tile, core) pairs over which a layer is dealt out in turn."""
    arch = sanafe.load_loihi()
    net = sanafe.Network()
    steps, n_in = x.shape
    first = net.create_neuron_group("in", n_in, model_attributes={}, log_spikes=True)
    for k in range(n_in):
        first[k].set_attributes(
            soma_hw_name=f"loihi_inputs[{k}]", model_attributes={"spikes": [int(v) for v in x[:, k]]}
        )
    groups = [first]
    for layer, w in enumerate(weights):
        group = net.create_neuron_group(
            f"l{layer}",
            len(w),
            model_attributes={"threshold": float(threshold[layer]), "leak_decay": float(leak[layer])},
            soma_hw_name="loihi_lif",
            default_synapse_hw_name="loihi_dense_synapse",
            default_dendrite_hw_name="loihi_dendrites",
            log_spikes=True,
            log_potential=True,
        )
        for i in range(w.shape[1]):
            for j in range(w.shape[0]):
                groups[-1][i].connect_to_neuron(group[j], {"weight": float(w[j, i])})
        groups.append(group)
    sizes = [n_in, *(len(w) for w in weights)]
    placed = []
    for group, size, place in zip(groups, sizes, cores, strict=True):
        per_core = -(-size // len(place))
        placed.append([place[k // per_core] for k in range(size)])
        for k in range(size):
            tile, core = placed[-1][k]
            group[k].map_to_core(arch.tiles[tile].cores[core])
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    r = chip.sim(steps, spike_trace=True, potential_trace=True)
    names = ["in", *(f"l{k}" for k in range(len(weights)))]
    z = {n: np.zeros((steps, s), int) for n, s in zip(names, sizes, strict=True)}
    for t, fired in enumerate(r["spike_trace"]):
        for neuron in fired:
            name, _, k = str(neuron).replace("[", ".").rstrip("]").partition(".")
            z[name][t, int(k)] = 1
    v = np.array(r["potential_trace"]).reshape(steps, -1)
    at, populations, projections, messages, hops = 0, {}, {}, 0, [0, 0]
    for k, name in enumerate(names):
        populations[name] = {"neurons": sizes[k], "spikes": int(z[name].sum())}
        if k == 0:
            continue
        before = np.vstack([np.zeros((1, sizes[k])), v[:-1, at : at + sizes[k]]])
        at += sizes[k]
        came = np.concatenate([[0], z[names[k - 1]].sum(axis=1)[:-1]]) > 0
        populations[name]["active_updates"] = int(((np.abs(before) > 0) | came[:, None]).sum())
        sent = z[names[k - 1]].sum(axis=0)
        projections[f"{names[k - 1]}->{name}"] = {
            "active": int(sent.sum()),
            "synaptic_events": int(sent.sum()) * sizes[k],
            "cores": len(set(placed[k])),
        }
        for n, source in zip(sent, placed[k - 1], strict=True):
            for target in set(placed[k]):
                a, b = divmod(source[0], 4), divmod(target[0], 4)  # tiles go down the columns of a mesh 4 high
                messages += int(n)
                hops[0] += int(n) * abs(a[0] - b[0])
                hops[1] += int(n) * abs(a[1] - b[1])
    inputs = int(x.sum())
    assert sum(p.get("active_updates", 0) for p in populations.values()) == r["neurons_updated"] - inputs
    assert sum(p["spikes"] for p in populations.values()) == r["neurons_fired"]
    assert messages == r["packets_sent"]
    return {
        "steps": steps,
        "populations": populations,
        "projections": projections,
        "packets": messages,
        "hops_east_west": hops[0],
        "hops_north_south": hops[1],
        "sanafe_events": r["spikes"],
        "energy_J": r["energy"],
    }


def main(oracle, out):
    net, x = np.load(Path(oracle) / "sana_net.npz"), np.load(Path(oracle) / "sana_in.npz")["spikes"]
    cases = {
        "oracle": run([net["w0"], net["w1"]], net["threshold"], net["leak"], x, [[(0, 0)]] * 3),
    }
    rng = np.random.default_rng(11)
    weights = [np.rint(rng.normal(2, 20, s)) for s in ((60, 20), (30, 60), (7, 30))]
    x = (rng.random((40, 20)) < 0.15).astype(int)
    cores = [[(0, 0)], [(1, 0), (5, 0), (6, 1)], [(14, 2), (31, 3)], [(2, 1)]]
    cases["spread"] = run(weights, [90, 90, 60], [0.9, 0.95, 0.8], x, cores)
    cases["silent"] = run(weights, [1e6, 90, 60], [0.9, 0.95, 0.8], x, cores)
    head = "SANA-FE 2.2.9, built-in Loihi architecture; made by make_sanafe_loihi.py"
    Path(out).write_text(json.dumps({"made_by": head, "cases": cases}, indent=1) + "\n")


main(*sys.argv[1:])
