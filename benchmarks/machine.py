"""What one core can do at most, measured: fused multiply-adds in registers, and matrix products."""

from __future__ import annotations

import time
from typing import Any

import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LANES, CHAINS = 16, 8  # floats per vector; vectors that do not wait for each other


@intrinsic
def _multiply_add_loop(typing_context: Any, n: Any) -> Any:  # noqa: ANN401
    """N rounds of CHAINS x LANES multiply-adds that never leave the registers; returns a number that needs them all."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        vector, number = ir.VectorType(ir.FloatType(), LANES), ir.IntType(64)
        fma = ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32")
        factor = ir.Constant(vector, [0.999] * LANES)
        before, body, after = builder.block, builder.append_basic_block("body"), builder.append_basic_block("after")
        builder.branch(body)
        builder.position_at_end(body)
        count = builder.phi(number)
        count.add_incoming(ir.Constant(number, 0), before)
        running = [builder.phi(vector) for _ in range(CHAINS)]
        for chain, value in enumerate(running):
            value.add_incoming(ir.Constant(vector, [float(chain + 1)] * LANES), before)
            value.add_incoming(builder.call(fma, [value, factor, factor]), body)
        following = builder.add(count, ir.Constant(number, 1))
        count.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, arguments[0]), body, after)
        builder.position_at_end(after)
        total = running[0]
        for value in running[1:]:
            total = builder.fadd(total, value)
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return types.float32(types.int64), generate


@njit
def _multiply_adds(n: int) -> float:
    return _multiply_add_loop(n)


def fma_peak() -> float:
    """Single-precision FLOP/s of one core, a multiply-add being two."""
    n = 30_000_000
    _multiply_adds(1)
    return max(2.0 * LANES * CHAINS * n / _seconds(lambda: _multiply_adds(n)) for _ in range(3))


def gemm_peak(dtype: torch.dtype, size: int = 1024) -> float:
    """FLOP/s of one core on a large matrix product."""
    x, y = (torch.randn(size, size + 16).to(dtype)[:, :size] for _ in range(2))  # rows a power of two apart are slow
    torch.mm(x, y)
    return max(2.0 * size**3 / _seconds(lambda: torch.mm(x, y)) for _ in range(5))


def _seconds(work: Any) -> float:  # noqa: ANN401
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
