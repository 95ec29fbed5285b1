// y[i] = the sum of the 32 numbers of x that warp i has, by shuffles. FAULT: lanes that do not take part.
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void warp_sums(const float* __restrict__ x, float* __restrict__ y) {
    const int lane = threadIdx.x % 32;
    const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    float sum = x[warp * 32 + lane];
    if (FAULT && lane == 7) return;
    for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, bits);
    if (lane == 0) y[warp] = sum;
}
