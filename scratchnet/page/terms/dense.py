"""The terms of Dense: y_j = Σ_i x_i W_ij + b_j,  dx_i = Σ_j dy_j W_ij,  dW_ij = x_i dy_j,  db_j = dy_j."""

from __future__ import annotations

from scratchnet.page.addresses import Index
from scratchnet.page.parts import Parts, parts, product
from scratchnet.page.passes import Record
from scratchnet.page.terms.convolution import bias


def output(record: Record, index: Index) -> Parts:
    """y[j], a product for each input."""
    (j,) = index
    terms = [product(record.input((i,)), record.array("W", (i, j))) for i in range(len(record.x))]
    return parts("y[j] = Σ_i x[i] · W[i, j] + b[j]", terms + bias(record, index))


def input_gradient(record: Record, index: Index) -> Parts:
    """dx[i], a product for each output."""
    (i,) = index
    return parts("dx[i] = Σ_j dy[j] · W[i, j]",
                 (product(record.upstream((j,)), record.array("W", (i, j))) for j in range(len(record.y))))  # fmt: skip


def weight(record: Record, index: Index) -> Parts:
    """dW[i, j], one product: dW is the outer product of x and dy."""
    i, j = index
    return parts("dW[i, j] = x[i] · dy[j]", [product(record.input((i,)), record.upstream((j,)))])


def bias_gradient(record: Record, index: Index) -> Parts:
    """db[j] is dy[j]."""
    return parts("db[j] = dy[j]", [product(record.upstream(index))])
