// What a card can do at most: multiply-adds in registers, and copying.
//
// Macros: REAL; CHAINS, independent sums of a thread.
#include "common.cuh"

KERNEL_OF(256)
multiply_add(const REAL* factors, REAL* sums, int rounds) {
    const REAL a = factors[0], b = factors[1];
    REAL chains[CHAINS];
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) chains[i] = static_cast<REAL>(threadIdx.x + i);
    for (int round = 0; round < rounds; ++round)
#pragma unroll
        for (int i = 0; i < CHAINS; ++i) chains[i] = a * chains[i] + b;
    REAL sum = 0;
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) sum += chains[i];
    sums[static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}

KERNEL_OF(256)
copy(const Lanes<REAL>* source, Lanes<REAL>* target, Index count) {
    const Index at = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at < count) target[at] = source[at];
}
