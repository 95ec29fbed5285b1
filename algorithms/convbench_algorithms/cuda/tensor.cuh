// Products on tensor cores. Words of 32 bits are multiplied: floats of which TF32 keeps ten bits after the point, or
// pairs of halves.
#pragma once
#include "common.cuh"

#ifndef STAND_IN  // the CPU's has its own

// d += a · b of a warp: 16 × 8 words times 8 × 8 words. Lane 4·g + t holds of a the words (g, t), (g + 8, t), (g, t + 4) and
// (g + 8, t + 4), of b the words (t, g) and (t + 4, g), of d the columns 2t and 2t + 1 of row g, then of row g + 8.
#define MULTIPLY_WORDS(instruction, d, a, b)                                                                              \
    asm(instruction " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                                \
        : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3])                                                          \
        : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "r"((b)[0]), "r"((b)[1]))
#define MULTIPLY_TF32(d, a, b) MULTIPLY_WORDS("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", d, a, b)
#define MULTIPLY_HALVES(d, a, b) MULTIPLY_WORDS("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", d, a, b)

#endif

__device__ __forceinline__ unsigned bits_of(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

__device__ __forceinline__ float float_of(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// What TF32 keeps of a float: ten bits after the point, rounded.
__device__ __forceinline__ float tf32_of(float value) { return float_of((bits_of(value) + 0x1000u) & 0xffffe000u); }
