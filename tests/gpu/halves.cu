// y = x, from either of float and Half to the other.
#include "common.cuh"

KERNEL_OF(32)
to_half(const float* x, Half* y) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    put(y[at], x[at]);
}

KERNEL_OF(32)
to_float(const Half* x, float* y) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    put(y[at], real_of(x[at]));
}
