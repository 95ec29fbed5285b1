// What every kernel here needs. REAL is the type that is computed in: float or double.
#pragma once

#ifndef SHARED  // the CPU's stand-in has its own
#define SHARED(type, name)                                        \
    extern __shared__ __align__(16) unsigned char shared_bytes[]; \
    type* const name = reinterpret_cast<type*>(shared_bytes)
#endif

#define KERNEL_OF(threads) extern "C" __global__ void __launch_bounds__(threads)

typedef long long Index;  // of an element: images and column matrices pass 2^31

constexpr int LANES = 16 / sizeof(REAL);

struct __align__(16) Lanes {  // moved by one instruction
    REAL at[LANES];
};

// COUNT elements into registers; by whole vectors where these divide it, and then `from` has to be aligned to them.
template <int COUNT> __device__ __forceinline__ void load_lanes(REAL* to, const REAL* from) {
    if constexpr (COUNT % LANES == 0) {
#pragma unroll
        for (int v = 0; v < COUNT / LANES; ++v) {
            const Lanes lanes = reinterpret_cast<const Lanes*>(from)[v];
#pragma unroll
            for (int l = 0; l < LANES; ++l) to[v * LANES + l] = lanes.at[l];
        }
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) to[i] = from[i];
    }
}

// The same, out of registers.
template <int COUNT> __device__ __forceinline__ void store_lanes(REAL* to, const REAL* from) {
    if constexpr (COUNT % LANES == 0) {
#pragma unroll
        for (int v = 0; v < COUNT / LANES; ++v) {
            Lanes lanes;
#pragma unroll
            for (int l = 0; l < LANES; ++l) lanes.at[l] = from[v * LANES + l];
            reinterpret_cast<Lanes*>(to)[v] = lanes;
        }
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) to[i] = from[i];
    }
}

__device__ constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// x at a padded position: `rows` and `cols` map these to positions in the image, or to -1, where there is a zero.
__device__ __forceinline__ REAL padded_at(const REAL* plane, int W, int row, int col) {
    return row < 0 || col < 0 ? REAL(0) : plane[static_cast<Index>(row) * W + col];
}
