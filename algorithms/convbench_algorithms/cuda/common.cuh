// What every kernel here needs. REAL is the type that is computed in, float or double; STORED is the one that x, w and y
// have in memory: REAL, or Half beside float.
#pragma once

#ifndef STORED
#define STORED REAL
#endif

#ifndef STAND_IN  // the CPU's has its own

#define SHARED(type, name)                                        \
    extern __shared__ __align__(16) unsigned char shared_bytes[]; \
    type* const name = reinterpret_cast<type*>(shared_bytes)

__device__ __forceinline__ float float_of_half(unsigned short bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

__device__ __forceinline__ unsigned short half_of_float(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

#endif

#define KERNEL_OF(threads) extern "C" __global__ void __launch_bounds__(threads)
#define KERNEL_FOR(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)  // on a multiprocessor

typedef long long Index;  // of an element: images and column matrices pass 2^31

struct Half {
    unsigned short bits;
};

typedef STORED Stored;

__device__ __forceinline__ float real_of(Half value) { return float_of_half(value.bits); }
__device__ __forceinline__ float real_of(float value) { return value; }
__device__ __forceinline__ double real_of(double value) { return value; }

__device__ __forceinline__ void put(Half& target, float value) { target.bits = half_of_float(value); }
__device__ __forceinline__ void put(float& target, float value) { target = value; }
__device__ __forceinline__ void put(double& target, double value) { target = value; }

template <class T> constexpr int LANES_OF = 16 / sizeof(T);
constexpr int LANES = LANES_OF<Stored>;

template <class T> struct __align__(16) Lanes {  // moved by one instruction
    T at[LANES_OF<T>];
};

// COUNT elements into registers; by whole vectors where these divide it, and then `from` has to be aligned to them.
template <int COUNT, class T> __device__ __forceinline__ void load_lanes(REAL* to, const T* from) {
    constexpr int N = LANES_OF<T>;
    if constexpr (COUNT % N == 0) {
#pragma unroll
        for (int v = 0; v < COUNT / N; ++v) {
            const Lanes<T> lanes = reinterpret_cast<const Lanes<T>*>(from)[v];
#pragma unroll
            for (int l = 0; l < N; ++l) to[v * N + l] = real_of(lanes.at[l]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) to[i] = real_of(from[i]);
    }
}

// The same, out of registers.
template <int COUNT, class T> __device__ __forceinline__ void store_lanes(T* to, const REAL* from) {
    constexpr int N = LANES_OF<T>;
    if constexpr (COUNT % N == 0) {
#pragma unroll
        for (int v = 0; v < COUNT / N; ++v) {
            Lanes<T> lanes;
#pragma unroll
            for (int l = 0; l < N; ++l) put(lanes.at[l], from[v * N + l]);
            reinterpret_cast<Lanes<T>*>(to)[v] = lanes;
        }
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) put(to[i], from[i]);
    }
}

__device__ constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

// x at a padded position: `rows` and `cols` map these to positions in the image, or to -1, where there is a zero.
__device__ __forceinline__ REAL padded_at(const Stored* plane, int W, int row, int col) {
    return row < 0 || col < 0 ? REAL(0) : real_of(plane[static_cast<Index>(row) * W + col]);
}
