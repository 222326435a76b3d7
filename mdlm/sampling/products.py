"""Matrix products with the same weights again and again, in single precision or in bfloat16."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor], object]
"""Called with ``x_BH`` and the (B, N) array for ``x_BH @ weights_HN``, both in single precision."""

PADDING = 16  # columns: one line of a cache


def in_float32(weights_HN: Tensor) -> Product:
    """The product in single precision."""
    weights_HN = _apart(weights_HN)
    return lambda x_BH, out_BN: torch.mm(x_BH, weights_HN, out=out_BN)


def in_bfloat16(weights_HN: Tensor, n_rough: int) -> Product:
    """The first ``n_rough`` columns in bfloat16, summed in single precision, the others in single precision."""
    rough = _packed(weights_HN[:, :n_rough].bfloat16())
    fine_HN = _apart(weights_HN[:, n_rough:])

    def product(x_BH: Tensor, out_BN: Tensor) -> None:
        out_BN[:, :n_rough] = rough(x_BH.bfloat16())
        if fine_HN.shape[1]:
            torch.mm(x_BH, fine_HN, out=out_BN[:, n_rough:])

    return product


def _apart(weights_HN: Tensor) -> Tensor:
    """The same with rows that do not lie a power of two apart.

    Those would share few lines of a cache: 49 instead of 185 GFLOP/s were measured with 4096 columns.
    """
    n_rows, n_columns = weights_HN.shape
    wide = weights_HN.new_zeros(n_rows, n_columns + PADDING * (n_columns % 256 == 0))
    wide[:, :n_columns] = weights_HN
    return wide[:, :n_columns]


def _packed(weights_HN: Tensor) -> Callable[[Tensor], Tensor]:
    """The product with weights that oneDNN has put in its order once, twice as fast; plain where it cannot."""
    weights_NH = weights_HN.T.contiguous()
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weights_NH, None)

        def product(x_BH: Tensor) -> Tensor:
            found: Tensor = torch.ops.mkldnn._linear_pointwise(x_BH, packed, None, "none", [], "")
            return found

        product(weights_NH[:1])  # not in every build of torch
    except (AttributeError, RuntimeError, TypeError):  # functions that torch keeps for itself
        return lambda x_BH: torch.mm(x_BH, weights_HN)
    return product
