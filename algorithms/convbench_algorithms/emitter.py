"""Vector micro-kernels for Numba code, written as LLVM IR: explicit vectors, registers that stay registers.

LLVM's own vectoriser takes 256-bit vectors on machines that have wider ones, spills accumulators, and gives up on
transposes. So the innermost blocks are emitted, by a Python function that runs when Numba compiles their caller:

    def scale_plain(x, y, factor, vectors):                  # what it computes, in loops
        for i in range(vectors * (64 // x.itemsize)): ...

    @emitted(scale_plain)
    def scale(e, x, y, factor, vectors):
        for v in range(vectors):                             # a constant where it is called: this loop is unrolled
            e.store(e.load(x, v * e.lanes) * e.splat(factor), y, v * e.lanes)

    @njit
    def caller(x, y): scale(x, y, 2.0, 4)                    # emitted into the caller, without a call

Python's loops and ifs run while emitting, those of the machine are `e.loop` and `e.when`. Arrays arrive as `Array`,
run-time integers as `Int`, run-time floats as `Scalar`; integers that are constants in the caller (literals, globals,
values that its closure captured) arrive as Python's own. Nothing is returned, and nothing checked.

Vectors are as wide as the CPU that Numba compiles for (AVX-512, AVX2, NEON). On any other, and where the
JIT is switched off, `emitted` gives the plain function in their place. NUMBA_CPU_NAME and NUMBA_CPU_FEATURES choose
another CPU; they are part of the key of Numba's cache on disk.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from llvmlite import ir
from numba import config as untyped_config
from numba import njit
from numba import types as untyped_types
from numba.core import cgutils as untyped_cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, register_jitable

cgutils: Any = untyped_cgutils
types: Any = untyped_types
config: Any = untyped_config
I64: Final = ir.IntType(64)
I32: Final = ir.IntType(32)


def _vector_unit() -> tuple[int, int]:
    """Bytes of a vector register and how many there are, of the CPU that Numba compiles for; (0, 0) for others."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    has = set(features.split(","))
    if config.DISABLE_JIT:
        return 0, 0
    if triple.startswith("x86_64") and "+avx512f" in has:
        return 64, 32
    if triple.startswith("x86_64") and {"+avx2", "+fma"} <= has:
        return 32, 16
    if triple.startswith(("aarch64", "arm64")):
        return 16, 32
    return 0, 0


VECTOR_BYTES, REGISTERS = _vector_unit()
"""Of the vector unit that kernels are emitted for; 0 where there is none, and plain code runs."""


@register_jitable
def lanes_of(itemsize: int) -> int:
    """Elements of a vector: of 64 bytes in plain code, which leaves the choice of registers to LLVM."""
    return (VECTOR_BYTES or 64) // itemsize


def emitted(plain: Callable[..., None]) -> Callable[[Callable[..., None]], Any]:
    """Turns `emit(e, …)` into a function that Numba code calls with the arguments after `e`.

    `plain` computes the same in loops: it is what runs, compiled by Numba, where there is no vector unit to emit
    for. It stays at hand as the result's `plain`, so that tests can compare the two.
    """
    compiled: Any = njit(nogil=True)(plain)

    def decorate(emit: Callable[..., None]) -> Any:
        if not VECTOR_BYTES:
            compiled.plain = compiled
            return compiled
        names = list(inspect.signature(emit).parameters)[1:]

        def typed(_context: Any, *arguments: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                kinds = list(signature.args)
                floats = [kind.dtype for kind in kinds if isinstance(kind, types.Array)]
                floats = [dtype for dtype in floats if isinstance(dtype, types.Float)]
                e = Emitter(builder, (floats[0].bitwidth if floats else 32) // 8)
                emit(e, *(_operand(context, builder, *pair) for pair in zip(kinds, values, strict=True)))
                return context.get_dummy_value()

            return types.void(*arguments), codegen

        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, positional) for name in ["_context", *names]]
        typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        typed.__name__, typed.__doc__ = emit.__name__, emit.__doc__
        kernel: Any = intrinsic(prefer_literal=True)(typed)
        kernel.plain = compiled
        return kernel

    return decorate


def _operand(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Literal):
        return kind.literal_value
    if isinstance(kind, types.Array):
        return Array(context, builder, kind, value)
    if isinstance(kind, types.Float):
        return Scalar(builder, value)
    if isinstance(kind, types.Integer | types.Boolean):
        signed = isinstance(kind, types.Integer) and kind.signed
        wide = value if value.type.width == I64.width else (builder.sext if signed else builder.zext)(value, I64)
        return Int(builder, wide)
    raise TypeError(f"a micro-kernel takes arrays and numbers, not {kind}")


class Value:
    """A value in the code being emitted."""

    def __init__(self, builder: Any, ir_value: Any) -> None:
        self.builder = builder
        self.ir = ir_value


class Scalar(Value):
    """A floating-point number of run time."""


class Int(Value):
    """A 64-bit integer of run time; arithmetic with Python's integers is folded where it can be."""

    def _of(self, other: Int | int) -> Any:
        return other.ir if isinstance(other, Int) else I64(other)

    def __add__(self, other: Int | int) -> Int:
        return (
            self
            if isinstance(other, int) and other == 0
            else Int(self.builder, self.builder.add(self.ir, self._of(other)))
        )

    __radd__ = __add__

    def __sub__(self, other: Int | int) -> Int:
        return Int(self.builder, self.builder.sub(self.ir, self._of(other)))

    def __rsub__(self, other: int) -> Int:
        return Int(self.builder, self.builder.sub(I64(other), self.ir))

    def __mul__(self, other: Int | int) -> Int:
        return (
            self
            if isinstance(other, int) and other == 1
            else Int(self.builder, self.builder.mul(self.ir, self._of(other)))
        )

    __rmul__ = __mul__

    def __floordiv__(self, other: Int | int) -> Int:
        """Rounds towards zero: for what is not negative."""
        return Int(self.builder, self.builder.sdiv(self.ir, self._of(other)))

    def __mod__(self, other: Int | int) -> Int:
        """The rest of `__floordiv__`."""
        return Int(self.builder, self.builder.srem(self.ir, self._of(other)))

    def compare(self, relation: str, other: Int | int) -> Any:
        """A condition for `when`: relation is one of < <= > >= == !=."""
        return self.builder.icmp_signed(relation, self.ir, self._of(other))

    def minimum(self, other: Int | int) -> Int:
        """The lesser of the two."""
        return Int(self.builder, self.builder.select(self.compare("<", other), self.ir, self._of(other)))


class Vector(Value):
    """A vector of `lanes` floating-point numbers (or of any power of two of them, after `Emitter.shuffle`)."""

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fadd(self.ir, other.ir))

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fsub(self.ir, other.ir))

    def __mul__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fmul(self.ir, other.ir))

    def __neg__(self) -> Vector:
        return Vector(self.builder, self.builder.fneg(self.ir))


class Pointer(Value):
    """The address of an element; `pointer + n` is n elements further."""

    def __init__(self, builder: Any, ir_value: Any, scalar: Any, itemsize: int) -> None:
        super().__init__(builder, ir_value)
        self.scalar = scalar
        self.itemsize = itemsize

    def __add__(self, elements: Int | int) -> Pointer:
        return self.plus_bytes(elements * self.itemsize)

    def plus_bytes(self, offset: Int | int) -> Pointer:
        """The address `offset` bytes further."""
        if isinstance(offset, int) and offset == 0:
            return self
        index = I64(offset) if isinstance(offset, int) else offset.ir
        moved = self.builder.gep(self.ir, [index])
        return Pointer(self.builder, moved, self.scalar, self.itemsize)

    def to(self, pointee: Any) -> Any:
        """The address in IR, of a `pointee`."""
        return self.builder.bitcast(self.ir, pointee.as_pointer())


class Array(Pointer):
    """An array of any number of axes: the address of its first element, with extents and strides."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        first = builder.bitcast(array.data, ir.IntType(8).as_pointer())
        super().__init__(builder, first, context.get_data_type(kind.dtype), itemsize)
        self.shape = [Int(builder, extent) for extent in cgutils.unpack_tuple(builder, array.shape)]
        self.strides_bytes: list[Int | int] = [Int(builder, s) for s in cgutils.unpack_tuple(builder, array.strides)]
        if kind.layout == "C" and self.strides_bytes:
            self.strides_bytes[-1] = itemsize

    def at(self, *indices: Int | int) -> Pointer:
        """The address of an element, by its leading indices; those left out are 0."""
        pointer: Pointer = self
        for index, stride in zip(indices, self.strides_bytes, strict=False):
            pointer = pointer.plus_bytes(stride * index)
        return pointer


class Variable:
    """A vector or an integer that changes from round to round of a loop: a stack slot, which LLVM makes a register."""

    def __init__(self, builder: Any, initial: Any) -> None:
        self.builder = builder
        self.kind = type(initial)
        self.slot = cgutils.alloca_once(builder, initial.ir.type)
        self.set(initial)

    def get(self) -> Any:
        """Its value now."""
        return self.kind(self.builder, self.builder.load(self.slot))

    def set(self, value: Any) -> None:
        """Its value from here on."""
        self.builder.store(value.ir, self.slot)


class Emitter:
    """Emits vector code into the function that Numba is compiling; see the module's head."""

    def __init__(self, builder: Any, itemsize: int) -> None:
        self.builder = builder
        self.itemsize = itemsize
        self.lanes = lanes_of(itemsize)
        self.registers = REGISTERS
        self.scalar = ir.FloatType() if itemsize == 4 else ir.DoubleType()
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.mask = ir.VectorType(ir.IntType(1), self.lanes)

    # --- values -------------------------------------------------------------------------------------------------------

    def integer(self, value: int) -> Int:
        """A constant as a value of run time."""
        return Int(self.builder, I64(value))

    def variable(self, initial: Vector | Int) -> Variable:
        """A variable for `loop`."""
        return Variable(self.builder, initial)

    def constant(self, values: float | Sequence[float]) -> Vector:
        """A vector of the same number in every lane, or of one number for each."""
        numbers = [float(v) for v in values] if isinstance(values, Sequence) else [float(values)] * self.lanes
        return Vector(self.builder, ir.Constant(self.vector, numbers))

    def splat(self, scalar: Scalar) -> Vector:
        """A vector with `scalar` in every lane."""
        value = scalar.ir
        if value.type != self.scalar:
            narrow = self.itemsize == 4
            value = (self.builder.fptrunc if narrow else self.builder.fpext)(value, self.scalar)
        return self._spread(value)

    def _spread(self, value: Any) -> Vector:
        single = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), value, I32(0))
        lanes = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return Vector(self.builder, self.builder.shuffle_vector(single, single, lanes))

    def fma(self, a: Vector, b: Vector, c: Vector) -> Vector:
        """a·b + c, rounded once."""
        function = self._function("llvm.fma", a.ir.type, [a.ir.type] * 3)
        return Vector(self.builder, self.builder.call(function, [a.ir, b.ir, c.ir]))

    def without_faint(self, vector: Vector, least: float) -> Vector:
        """0 in the lanes that are nearer to it than `least`; NaN stays."""
        size = self._function("llvm.fabs", vector.ir.type, [vector.ir.type])
        faint = self.builder.fcmp_ordered("<", self.builder.call(size, [vector.ir]), self.constant(least).ir)
        return Vector(self.builder, self.builder.select(faint, self.constant(0.0).ir, vector.ir))

    def shuffle(self, a: Vector, b: Vector, lanes: Sequence[int]) -> Vector:
        """The vector of the chosen lanes of a (0 …) and b (behind a's)."""
        chosen = ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))
        return Vector(self.builder, self.builder.shuffle_vector(a.ir, b.ir, chosen))

    def transpose(self, rows: Sequence[Vector]) -> list[Vector]:
        """Column j of a square of `lanes` vectors as vector j: log₂(lanes) rounds of exchanges between pairs."""
        square, n = list(rows), self.lanes
        half = 1
        while half < n:
            # Exchange the off-diagonal half-blocks of each 2·half block: lane bit `half` with row bit `half`.
            low = [lane if not lane & half else n + lane - half for lane in range(n)]
            high = [lane + half if not lane & half else n + lane for lane in range(n)]
            for row in range(n):
                if not row & half:
                    a, b = square[row], square[row + half]
                    square[row], square[row + half] = self.shuffle(a, b, low), self.shuffle(a, b, high)
            half *= 2
        return square

    # --- memory -------------------------------------------------------------------------------------------------------

    def load(self, pointer: Pointer, offset: Int | int = 0) -> Vector:
        """The vector that starts `offset` elements past `pointer`, aligned or not."""
        place = pointer + offset
        return Vector(self.builder, self.builder.load(place.to(self.vector), align=self.itemsize))

    def load_widened(self, pointer: Pointer, offset: Int | int = 0) -> Vector:
        """As `load`, of numbers that may be of half the size."""
        place = pointer + offset
        stored = ir.VectorType(place.scalar, self.lanes)
        value = self.builder.load(place.to(stored), align=place.itemsize)
        return Vector(self.builder, value if stored == self.vector else self.builder.fpext(value, self.vector))

    def load_scalar(self, pointer: Pointer, offset: Int | int = 0) -> Scalar:
        """One number."""
        place = pointer + offset
        return Scalar(self.builder, self.builder.load(place.to(place.scalar), align=place.itemsize))

    def load_integer(self, pointer: Pointer, offset: Int | int = 0) -> Int:
        """One number of an array of 64-bit integers."""
        place = pointer + offset
        return Int(self.builder, self.builder.load(place.to(place.scalar), align=place.itemsize))

    def broadcast(self, pointer: Pointer, offset: Int | int = 0) -> Vector:
        """One number in every lane."""
        return self.splat(self.load_scalar(pointer, offset))

    def store(self, vector: Vector, pointer: Pointer, offset: Int | int = 0) -> None:
        """Write a vector, aligned or not."""
        self.builder.store(vector.ir, (pointer + offset).to(vector.ir.type), align=self.itemsize)

    def store_past_caches(self, vector: Vector, pointer: Pointer, offset: Int | int = 0) -> None:
        """Write a vector that nobody reads soon; the address must be a multiple of VECTOR_BYTES."""
        store = self.builder.store(vector.ir, (pointer + offset).to(vector.ir.type), align=VECTOR_BYTES)
        store.set_metadata("nontemporal", self.builder.module.add_metadata([I32(1)]))

    def first_lanes(self, count: Int) -> Any:
        """The mask of lanes 0 … count−1, for masked loads and stores."""
        numbers = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        wide = ir.VectorType(I64, self.lanes)
        single = self.builder.insert_element(ir.Constant(wide, ir.Undefined), count.ir, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.icmp_signed("<", numbers, self.builder.shuffle_vector(single, single, zeros))

    def lanes_between(self, low: Int, high: Int) -> Any:
        """The mask of lanes low … high−1."""
        return self.builder.and_(self.first_lanes(high), self.builder.not_(self.first_lanes(low)))

    def masks_between(self, low: Int, high: Int, vectors: int) -> list[Any]:
        """The masks of vectors side by side that hold lanes low … high−1, counted through them; |low|, |high| < 2³¹."""
        builder, wide = self.builder, ir.VectorType(I32, self.lanes)
        bounds = []
        for bound in (low, high):
            single = builder.insert_element(ir.Constant(wide, ir.Undefined), builder.trunc(bound.ir, I32), I32(0))
            bounds.append(builder.shuffle_vector(single, single, ir.Constant(wide, [0] * self.lanes)))
        masks = []
        for v in range(vectors):
            numbers = ir.Constant(wide, list(range(v * self.lanes, (v + 1) * self.lanes)))
            reached = builder.icmp_signed(">=", numbers, bounds[0])
            masks.append(builder.and_(reached, builder.icmp_signed("<", numbers, bounds[1])))
        return masks

    def load_masked(self, mask: Any, pointer: Pointer, offset: Int | int = 0) -> Vector:
        """The lanes of `mask`; the rest are 0 and their memory is not touched."""
        place = pointer + offset
        function = self._function("llvm.masked.load", self.vector, [place.ir.type, I32, self.mask, self.vector], ".p0")
        zeros = self.constant(0.0).ir
        return Vector(self.builder, self.builder.call(function, [place.ir, I32(self.itemsize), mask, zeros]))

    def store_masked(self, mask: Any, vector: Vector, pointer: Pointer, offset: Int | int = 0) -> None:
        """Write the lanes of `mask` only."""
        place = pointer + offset
        arguments = [self.vector, place.ir.type, I32, self.mask]
        function = self._function("llvm.masked.store", ir.VoidType(), arguments, ".p0", named=self.vector)
        self.builder.call(function, [vector.ir, place.ir, I32(self.itemsize), mask])

    def prefetch(self, pointer: Pointer, offset: Int | int = 0, *, level: int = 1) -> None:
        """Ask for a cache line early: into the cache of `level` 1 … 3."""
        place = pointer + offset
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(ir.VoidType(), [place.ir.type, I32, I32, I32]), "llvm.prefetch.p0"
        )
        self.builder.call(function, [place.ir, I32(0), I32(4 - level), I32(1)])

    def _function(self, name: str, result: Any, arguments: list[Any], suffix: str = "", named: Any = None) -> Any:
        vector = named or result
        full = f"{name}.v{vector.count}{vector.element.intrinsic_name}{suffix}"
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, arguments), full)

    # --- control ------------------------------------------------------------------------------------------------------

    @contextmanager
    def loop(self, stop: Int | int, start: Int | int = 0, step: int = 1, *, unroll: bool = True) -> Iterator[Int]:
        """A loop of the machine over start, start + step, … below `stop`, which may be empty; gives the index.

        LLVM may run several rounds as one, unless `unroll` is false: where a round fills the registers, it would spill.
        """
        builder = self.builder
        first, last = (value.ir if isinstance(value, Int) else I64(value) for value in (start, stop))
        before = builder.block
        body, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", first, last), body, after)
        builder.position_at_end(body)
        index = builder.phi(I64)
        index.add_incoming(first, before)
        yield Int(builder, index)
        following = builder.add(index, I64(step), flags=["nsw"])
        index.add_incoming(following, builder.block)
        again = builder.cbranch(builder.icmp_signed("<", following, last), body, after)
        if not unroll:
            again.set_metadata("llvm.loop", self._not_unrolled())
        builder.position_at_end(after)

    def _not_unrolled(self) -> Any:
        module = self.builder.module
        loop = module.add_metadata([I64(len(module.metadata)), module.add_metadata(["llvm.loop.unroll.disable"])])
        loop.operands = (loop, *loop.operands[1:])  # a loop's metadata begin with themselves
        return loop

    @contextmanager
    def when(self, condition: Any) -> Iterator[None]:
        """Code that runs where `condition` (see `Int.compare`) holds."""
        with self.builder.if_then(condition):
            yield
