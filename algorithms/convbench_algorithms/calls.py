"""Calls of compiled functions by address, for drivers that share work out to threads.

A function with parallel=True compiles whatever it calls again, several times over, as do its callers: half a minute
where the callee is a large kernel. A call by address leaves the callee as it was compiled, once.
"""

from __future__ import annotations

from typing import Any

from numba import typeof as untyped_typeof
from numba import types as untyped_types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils
types: Any = untyped_types
typeof: Any = untyped_typeof


def address_of(function: Any, *arguments: Any) -> int:
    """Where the code of an njit function lies that takes such arguments; compiled if need be."""
    signature = tuple(typeof(argument) for argument in arguments)
    function.compile(signature)
    compiled = function.overloads[signature]
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return address


def _call(_context: Any, address: Any, arguments: Any) -> Any:
    """In Numba code: call the function at an address, for a tuple of arguments of the types that `address_of` took."""

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        kinds = list(arguments)
        convention = context.call_conv
        callee = builder.inttoptr(values[0], convention.get_function_type(types.none, kinds).as_pointer())
        convention.call_function(builder, callee, types.none, kinds, cgutils.unpack_tuple(builder, values[1]))
        return context.get_dummy_value()

    return types.void(address, arguments), codegen


call: Any = intrinsic(_call)
