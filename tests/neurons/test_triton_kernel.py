"""Triton kernels without a GPU: what the interpreter computes, and what the compiler makes of them for one.

The interpreter needs a process of its own: `TRITON_INTERPRET` counts when Triton is imported.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from spikelab.errors import UnsupportedError
from spikelab.neurons import LIF, CubaLIF, NeuronModel
from spikelab.neurons.generated import _in_memory
from spikelab.neurons.triton_kernel import LAUNCH, TritonKernel, triton_installed, triton_kernel
from spikelab.nn.surrogate import Sigmoid, SuperSpike

needs_triton = pytest.mark.skipif(not triton_installed(), reason="Triton is not installed: pip install triton")
needs_compiler = pytest.mark.skipif("TRITON_INTERPRET" in os.environ, reason="TRITON_INTERPRET is set")
EVERY = 2


@needs_triton
def test_in_the_interpreter_kernels_equal_those_of_numba() -> None:
    cases = Path(__file__).with_name("interpreted.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)]
    run = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert run.returncode == 0 and " passed" in run.stdout and "skipped" not in run.stdout, run.stdout[-5000:]


def compiled(k: TritonKernel, name: str, pointer: str, module: Any, **other: Any) -> str:
    """PTX of a kernel for compute capability 9.0; the compiler needs no GPU for it."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = getattr(module, name)
    fixed = {"BLOCK": k.block, **({"KEEP": True, "WRITE": True} if name == "forward" else {})}
    signature = dict.fromkeys(function.arg_names, "*fp32")
    signature |= {n: f"*{pointer}" for n in signature if n.startswith(("px_", "gx_")) or n in ("z", "pgz")}
    signature |= {f"p_{c}": "fp32" for c in k.scalars} | dict.fromkeys(("period", "steps", "neurons"), "i32")
    signature |= dict.fromkeys(fixed, "constexpr")
    places = {(function.arg_names.index(n),): value for n, value in fixed.items()}
    source = ASTSource(function, signature, constexprs=places)
    return str(triton.compile(source, target=GPUTarget("cuda", 90, 32), options=LAUNCH | other).asm["ptx"])


def instructions(ptx: str) -> Counter[str]:
    return Counter(re.findall(r"^\s*(?:@!?%p\d+\s+)?([a-z][\w.]*\.\w+)", ptx, re.MULTILINE))


@needs_triton
@needs_compiler
@pytest.mark.parametrize(("dtype", "pointer"), [("float32", "fp32"), ("bfloat16", "bf16")])
def test_for_a_gpu_nothing_is_fused_approximated_or_flushed_to_zero(
    dtype: str, pointer: str, zoo: NeuronModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    k = triton_kernel(zoo, dtype=dtype, slope=SuperSpike().slope, arrays=("a_mem",), wanted=("a_mem",))
    for name in ("forward", "backward"):
        found = instructions(compiled(k, name, pointer, k.module(EVERY)))
        assert min(found["mul.rn.f32"], found["add.rn.f32"]) > 20 and found["div.rn.f32"] >= 5 * EVERY
        wrong = [op for op in found if re.match(r"(fma|mad)\..*f32|ex2", op) or ".approx" in op or ".full" in op]
        # Rounding to a whole number flushes, which changes none: tiny counts are 0 either way, as are truncations.
        wrong += [op for op in found if ".ftz" in op and not re.match(r"cvt\.r[mp]i\.ftz\.f32\.f32", op)]
        assert not wrong, wrong
        if dtype == "bfloat16" and name == "backward":
            assert any(op.startswith("cvt.rn.bf16") for op in found)


@needs_triton
@needs_compiler
def test_by_itself_the_compiler_would_fuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    k = triton_kernel(LIF())
    found = instructions(compiled(k, "forward", "fp32", k.module(EVERY), enable_fp_fusion=True))
    assert any(re.match(r"fma\..*f32", op) for op in found) and LAUNCH["enable_fp_fusion"] is False


@needs_triton
@needs_compiler
def test_a_segment_is_loaded_before_it_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    k = triton_kernel(LIF(), slope=Sigmoid().slope)
    # A module that lies in memory only, where no cache directory can be written.
    ptx = compiled(k, "backward", "fp32", _in_memory(k.source.text(EVERY), "nowhere"))
    loop = ptx[ptx.index("ld.global", ptx.index("bra")) :]
    loads = re.split(r"mul\.rn\.f32", loop)[0].count("ld.global")
    assert loads == 2 * EVERY + 1  # input, output gradient; the checkpoint


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"float64.*float32"):
        triton_kernel(LIF(), dtype="float64")


def test_the_text_does_not_depend_on_what_is_installed() -> None:
    text = triton_kernel(LIF(), slope=SuperSpike().slope).source.text(2)
    assert {"def forward(", "def backward(", "def replay_step("} <= set(re.findall(r"def \w+\(", text))
    assert text.count("tl.load(px_x") == 4 and "def backward(" not in triton_kernel(LIF()).source.text(2)


def test_a_model_with_more_operations_gets_shorter_segments(zoo: NeuronModel) -> None:
    every = [triton_kernel(m, slope=SuperSpike().slope).every for m in (LIF(), CubaLIF(), zoo)]
    assert every == [16, 16, 2]
    assert triton_kernel(LIF(), slope=Sigmoid().slope).every == 8
