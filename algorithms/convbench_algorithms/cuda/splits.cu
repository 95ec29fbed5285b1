// The sum of partial products, in an order that is always the same.
//
// Macros: REAL, STORED; SPLITS.
#include "common.cuh"

KERNEL_OF(256)
sum_splits(const REAL* parts, Stored* y, Index size) {
    const Index at = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= size) return;
    REAL sum = 0;
#pragma unroll
    for (int split = 0; split < SPLITS; ++split) sum += parts[split * size + at];
    put(y[at], sum);
}
