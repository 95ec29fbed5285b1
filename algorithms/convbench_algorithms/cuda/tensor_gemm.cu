// Convolution as a matrix product on tensor cores, its columns gathered as they are needed: see implicit_gemm.cu.
//
//   y [K/G, N·P·Q] = w [K/G, T] · columns [T, N·P·Q] for each group,   T = C/G·R·S
//
// A block has a tile of BM filters × BN positions, a warp of WM × WN. Shared memory holds words of 32 bits: floats, or
// pairs of halves that follow each other along the taps. Its lines have eight words more than the tile is wide, so that
// a warp's four lines of eight words lie in different banks.
//
// Macros: REAL, which is float; STORED; BM, BN, WM, WN; PARTS of the product of two floats: 1, or 3 for what TF32 keeps of
// either and what it leaves of one. Threads: BM / WM · BN / WN · 32 = 256.
#include "tensor.cuh"
#include "tap.cuh"

typedef unsigned Word;

constexpr int THREADS = 256, LANES_OF_WARP = 32;
constexpr int DEPTH = 16;                                             // words of a slice, along the taps
constexpr int TAPS_OF_WORD = sizeof(Word) / sizeof(Stored);
constexpr int A_PITCH = BM + 8, B_PITCH = BN + 8;
constexpr int WARPS_ALONG = BN / WN;
constexpr int TILES_M = WM / 16, TILES_N = WN / 8;                    // products of a warp
constexpr int A_LOADS = BM * DEPTH / THREADS, B_LOADS = BN * DEPTH / THREADS;

static_assert(BM / WM * WARPS_ALONG * LANES_OF_WARP == THREADS && WM % 16 == 0 && WN % 8 == 0, "a tile for eight warps");
static_assert(THREADS % BM == 0 && THREADS % BN == 0, "a thread keeps its filter and its position");

__device__ __forceinline__ Word word_of(const float (&value)[1]) { return bits_of(PARTS == 1 ? tf32_of(value[0]) : value[0]); }
__device__ __forceinline__ Word word_of(const Half (&pair)[2]) {
    return pair[0].bits | static_cast<Word>(pair[1].bits) << 16;
}

KERNEL_OF(THREADS)
tensor_gemm(const Stored* x, const Stored* w, Stored* y, const Tap* taps, const int* rows, const int* cols, int N, int C,
            int H, int W, int P, int Q, int T, int channels, int filters, int u, int v) {
    SHARED(Word, shared);
    Word* const a_slices = shared;                       // [2][DEPTH][A_PITCH]
    Word* const b_slices = shared + 2 * DEPTH * A_PITCH;  // [2][DEPTH][B_PITCH]
    const int thread = threadIdx.x, group = blockIdx.z;
    const int k0 = blockIdx.y * BM;
    const Index n0 = static_cast<Index>(blockIdx.x) * BN;
    const Index positions = static_cast<Index>(N) * P * Q;

    // What this thread loads: one filter's taps, and one position's.
    const int a_filter = thread % BM, a_word = thread / BM;
    const int b_position = thread % BN, b_word = thread / BN;
    const bool a_exists = k0 + a_filter < filters, b_exists = n0 + b_position < positions;
    const Stored* a_source = w + static_cast<Index>(group) * T * filters + k0 + a_filter;  // w [G,T,K/G]
    const Index place = b_exists ? n0 + b_position : 0;
    const int p = static_cast<int>(place / Q % P), q = static_cast<int>(place % Q);
    const Stored* b_source = x + (place / Q / P * C + static_cast<Index>(group) * channels) * H * W;
    const int* b_rows = rows + u * p;
    const int* b_cols = cols + v * q;

    const auto a_at = [&](int t) {
        Stored found = {};
        if (a_exists && t < T) found = a_source[static_cast<Index>(t) * filters];
        return found;
    };
    const auto b_at = [&](int t) {
        Stored found = {};
        if (b_exists && t < T) {
            const Tap tap = taps[t];
            const int row = b_rows[tap.row], col = b_cols[tap.col];
            if (row >= 0 && col >= 0) found = b_source[(static_cast<Index>(tap.channel) * H + row) * W + col];
        }
        return found;
    };
    Word a_next[A_LOADS], b_next[B_LOADS];
    const auto load = [&](int t0) {
        Stored found[TAPS_OF_WORD];
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) {
#pragma unroll
            for (int j = 0; j < TAPS_OF_WORD; ++j) found[j] = a_at(t0 + (a_word + i * (THREADS / BM)) * TAPS_OF_WORD + j);
            a_next[i] = word_of(found);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
#pragma unroll
            for (int j = 0; j < TAPS_OF_WORD; ++j) found[j] = b_at(t0 + (b_word + i * (THREADS / BN)) * TAPS_OF_WORD + j);
            b_next[i] = word_of(found);
        }
    };
    const auto store = [&](int slice) {
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i)
            a_slices[(slice * DEPTH + a_word + i * (THREADS / BM)) * A_PITCH + a_filter] = a_next[i];
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i)
            b_slices[(slice * DEPTH + b_word + i * (THREADS / BN)) * B_PITCH + b_position] = b_next[i];
    };

    const int warp = thread / LANES_OF_WARP, g = thread % LANES_OF_WARP / 4, t = thread % 4;
    const int m0 = warp / WARPS_ALONG * WM, j0 = warp % WARPS_ALONG * WN;
    float sums[TILES_M][TILES_N][4];
#pragma unroll
    for (int i = 0; i < TILES_M; ++i)
#pragma unroll
        for (int j = 0; j < TILES_N; ++j)
#pragma unroll
            for (int r = 0; r < 4; ++r) sums[i][j][r] = 0;

    constexpr int STEP = DEPTH * TAPS_OF_WORD;
    load(0);
    store(0);
    __syncthreads();
    for (int t0 = 0, slice = 0; t0 < T; t0 += STEP, slice ^= 1) {
        const bool more = t0 + STEP < T;
        if (more) load(t0 + STEP);
#pragma unroll
        for (int first = 0; first < DEPTH; first += 8) {
            const Word* a_lines = a_slices + (slice * DEPTH + first + t) * A_PITCH + m0 + g;
            const Word* b_lines = b_slices + (slice * DEPTH + first + t) * B_PITCH + j0 + g;
            Word b[TILES_N][2];
#pragma unroll
            for (int j = 0; j < TILES_N; ++j) b[j][0] = b_lines[8 * j], b[j][1] = b_lines[4 * B_PITCH + 8 * j];
#pragma unroll
            for (int i = 0; i < TILES_M; ++i) {
                const Word* line = a_lines + 16 * i;
                const Word a[4] = {line[0], line[8], line[4 * A_PITCH], line[4 * A_PITCH + 8]};
#pragma unroll
                for (int j = 0; j < TILES_N; ++j) {
                    if constexpr (TAPS_OF_WORD == 2) {
                        MULTIPLY_HALVES(sums[i][j], a, b[j]);
                    } else if constexpr (PARTS == 1) {
                        MULTIPLY_TF32(sums[i][j], a, b[j]);
                    } else {
                        Word a_near[4], a_rest[4], b_near[2], b_rest[2];
#pragma unroll
                        for (int r = 0; r < 4; ++r) {
                            a_near[r] = bits_of(tf32_of(float_of(a[r])));
                            a_rest[r] = bits_of(tf32_of(float_of(a[r]) - float_of(a_near[r])));
                        }
#pragma unroll
                        for (int r = 0; r < 2; ++r) {
                            b_near[r] = bits_of(tf32_of(float_of(b[j][r])));
                            b_rest[r] = bits_of(tf32_of(float_of(b[j][r]) - float_of(b_near[r])));
                        }
                        MULTIPLY_TF32(sums[i][j], a_near, b_rest);
                        MULTIPLY_TF32(sums[i][j], a_rest, b_near);
                        MULTIPLY_TF32(sums[i][j], a_near, b_near);
                    }
                }
            }
        }
        if (more) store(slice ^ 1);
        __syncthreads();
    }

#pragma unroll
    for (int j = 0; j < TILES_N; ++j)
#pragma unroll
        for (int side = 0; side < 2; ++side) {
            const Index at = n0 + j0 + 8 * j + 2 * t + side;
            if (at >= positions) continue;
            const Index image = at / (static_cast<Index>(P) * Q), pixel = at % (static_cast<Index>(P) * Q);
#pragma unroll
            for (int i = 0; i < TILES_M; ++i)
#pragma unroll
                for (int below = 0; below < 2; ++below) {
                    const int k = k0 + m0 + 16 * i + g + 8 * below;
                    if (k < filters)
                        put(y[((image * gridDim.z + group) * filters + k) * P * Q + pixel], sums[i][j][2 * below + side]);
                }
        }
}
