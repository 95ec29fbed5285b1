"""A matrix product for Numba code, in explicit vectors: M = U V in blocks that stay in registers.

The rows of V may start anywhere, so that small transforms of shifted images are products too.

LLVM's own vectoriser takes 256-bit vectors on machines that have wider ones and spills accumulators.
So the inner loop is emitted: rows × vectors accumulators, for each step of the sum one load of a
vector of V per column, one broadcast of an element of U per row, and rows·vectors fused multiply-adds
(Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34, 2008).
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

from convbench.algorithm import Array
from convbench.boundary import IndexMap

cgutils: Any = untyped_cgutils

VECTOR_BYTES: Final = 64
"""One AVX-512 register, two of AVX2, four of NEON."""

ROWS: Final = 6
VECTORS: Final = 4 if llvm.get_host_cpu_features().get("avx512f") else 1
"""6 × 4 accumulators take 24 of AVX-512's 32 registers; 6 × 1 take 12 of AVX2's 16, and 24 of NEON's 32."""


def lanes_of(itemsize: int) -> int:
    """Elements of a vector; `multiply` works in whole vectors."""
    return VECTOR_BYTES // itemsize


def padded_length(length: int, itemsize: int) -> int:
    """A pitch for rows of `length`: whole vectors, and an odd number, so that the rows share no set of the cache."""
    vectors = -(-length // lanes_of(itemsize))
    return (vectors | 1) * lanes_of(itemsize)


@njit(nogil=True, cache=True)
def multiply(U: Array, source: Array, starts: IndexMap, M: Array, length: int) -> None:
    """M[k,j] = Σ_c U[k,c] · source[starts[c] + j] for j < `length`, rounded up to whole vectors.

    U [K,C], source 1-D, starts [C] in elements, M [K,≥length], its rows contiguous; all of one dtype.
    What `source` and M hold up to a whole vector is read and overwritten too.
    """
    K = len(U)
    lanes = VECTOR_BYTES // U.itemsize
    vectors = (length + lanes - 1) // lanes
    blocks = (K + ROWS - 1) // ROWS
    rows = (K + blocks - 1) // blocks
    for column in range(0, vectors, VECTORS):
        piece = source[column * lanes :]
        count = min(vectors - column, VECTORS)
        for k in range(0, K, rows):
            _multiply_block(U[k:], piece, starts, M[k:, column * lanes :], min(K - k, rows), count)


def _typed_block(_: Any, U: Any, source: Any, starts: Any, M: Any, rows: Any, vectors: Any) -> Any:  # noqa: ARG001
    """The first `rows` × `vectors` of `multiply`: signature and code for the types of its arguments."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        operands = [
            _Operand(context, builder, kind, value) for kind, value in zip(signature.args[:4], values[:4], strict=True)
        ]
        row_count, vector_count = values[4:]
        shape = builder.add(builder.mul(row_count, row_count.type(VECTORS + 1)), vector_count)
        done = builder.append_basic_block("done")
        cases = builder.switch(shape, done)
        for rows in range(1, ROWS + 1):
            for vectors in range(1, VECTORS + 1):
                case = builder.append_basic_block(f"block_{rows}x{vectors}")
                cases.add_case(shape.type(rows * (VECTORS + 1) + vectors), case)
                builder.position_at_end(case)
                _emit_block(builder, operands, rows, vectors)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(U, source, starts, M, types.intp, types.intp), codegen


_multiply_block: Any = intrinsic(_typed_block)


class _Operand:
    """An array in IR: its scalar and vector types, and the addresses of its elements."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self.builder = builder
        self.scalar = context.get_data_type(kind.dtype)
        self.itemsize = kind.dtype.bitwidth // 8
        self.lanes = lanes_of(self.itemsize)
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.data = array.data
        self.extents = cgutils.unpack_tuple(builder, array.shape)
        self.row_bytes = cgutils.unpack_tuple(builder, array.strides)[0]

    def at(self, row: Any, column: Any, pointee: Any) -> Any:
        """The address of element (row, column), as a pointer to `pointee`."""
        builder = self.builder
        base = builder.bitcast(self.data, ir.IntType(8).as_pointer())
        offset = builder.add(builder.mul(row, self.row_bytes), builder.mul(column, column.type(self.itemsize)))
        return builder.bitcast(builder.gep(base, [offset]), pointee.as_pointer())

    def splat(self, scalar: Any) -> Any:
        """A vector with `scalar` in every lane."""
        single = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), scalar, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, single, lanes)


def _emit_block(builder: Any, operands: list[_Operand], rows: int, vectors: int) -> None:
    U, source, starts, M = operands
    index = ir.IntType(64)
    name = f"llvm.fma.v{M.lanes}{M.scalar.intrinsic_name}"
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(M.vector, [M.vector] * 3), name)
    # Slots on the stack, which LLVM turns into registers; phi nodes by hand would say the same at length.
    sums = [[cgutils.alloca_once(builder, M.vector) for _ in range(vectors)] for _ in range(rows)]
    for slot in itertools.chain(*sums):
        builder.store(ir.Constant(M.vector, [0.0] * M.lanes), slot)
    with cgutils.for_range(builder, starts.extents[0]) as loop:
        c = loop.index
        start = builder.load(starts.at(c, index(0), index))
        columns = [builder.add(start, index(v * source.lanes)) for v in range(vectors)]
        pieces = [builder.load(source.at(index(0), col, source.vector), align=source.itemsize) for col in columns]
        for r, row in enumerate(sums):
            factor = U.splat(builder.load(U.at(index(r), c, U.scalar)))
            for piece, slot in zip(pieces, row, strict=True):
                builder.store(builder.call(fma, [factor, piece, builder.load(slot)]), slot)
    for r, row in enumerate(sums):
        for v, slot in enumerate(row):
            builder.store(builder.load(slot), M.at(index(r), index(v * M.lanes), M.vector), align=M.itemsize)
