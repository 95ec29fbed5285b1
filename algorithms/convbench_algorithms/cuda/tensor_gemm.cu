// Convolution as a matrix product on tensor cores, its columns gathered as they are needed: see implicit_gemm.cu.
//
//   y [K/G, N·P·Q] = w [K/G, T] · columns [T, N·P·Q] for each group,   T = C/G·R·S
//
// x is a copy with its padding written out and its channels last: chunks of 16 bytes, which hold some channels of one place.
// A chunk of a position's column lies at the position's place plus an offset that is the same for all positions, and w has
// its chunks in the same order. A slice has CHUNKS of them, 128 bytes of each filter and of each position; STAGES slices lie in
// shared memory. Words of 32 bits are multiplied: floats, or pairs of halves.
//
// A line of shared memory is a filter's or a position's slice, which is all 32 banks. A lane takes two words in a row of it, 2t
// and 2t + 1, and calls them t and t + 4: the order of the taps is free, as long as it is that of both factors. Half a warp
// reads so from four lines, whose pairs of chunks are exchanged by `turn` to lie in different banks; copies write whole lines.
//
// Macros: REAL, which is float; STORED; BM, BN, WM, WN; PARTS of the product of two floats: 1, or 3 for what TF32 keeps of
// either and what it leaves of one; SPLITS. Threads: BM / WM · BN / WN · 32.
#include "async.cuh"
#include "splits.cuh"
#include "tensor.cuh"

typedef unsigned Word;
typedef Lanes<Word> Chunk;

struct __align__(8) Pair {
    Word low, high;
};

constexpr int WARPS_ALONG = BN / WN, THREADS = BM / WM * WARPS_ALONG * 32;
constexpr int STAGES = 3, CHUNKS = 8, LINE = CHUNKS * 4, STAGE = (BM + BN) * LINE;  // in words, a stage: w [BM][LINE], x [BN][LINE]
constexpr bool HALVES = sizeof(Stored) == 2;
constexpr int TILES_M = WM / 16, TILES_N = WN / 8;       // products of a warp
constexpr int LINES = THREADS / CHUNKS;                  // that the block copies at a time
constexpr int A_COPIES = BM / LINES, B_COPIES = BN / LINES;

static_assert(WM % 16 == 0 && WN % 16 == 0 && BM % LINES == 0 && BN % LINES == 0 && LINES % 8 == 0, "whole tiles and copies");

// The pair of chunks by which those of a line are exchanged, for its place among the four that are read together: lines that
// follow each other of w, and those of a 16th of x that `position_of` gives to four lanes.
__device__ __forceinline__ int a_turn(int line) { return line & 3; }
__device__ __forceinline__ int b_turn(int line) { return (line & 1) | (line >> 1 & 2); }

// Of the columns of products j, even, and j + 1, those that a lane has the sums of, 2t and 2t + 1 of each, are four positions
// in a row.
__device__ __forceinline__ int position_of(int j, int column) { return j / 2 * 16 + column / 2 * 4 + j % 2 * 2 + column % 2; }

// What TF32 keeps of a word, and what it leaves. The tensor cores cut the rest off: it is raised, to be rounded.
__device__ __forceinline__ void part(Word word, Word& near, Word& rest) {
    near = bits_of(tf32_of(float_of(word)));
    rest = bits_of(float_of(word) - float_of(near)) + 0x1000u;
}

KERNEL_OF(THREADS, 2)
tensor_gemm(const Chunk* x, const Chunk* w, Target* y, const int* offsets, int N, int P, int Q, int padded_rows, int padded_cols,
            int chunks, int u, int v, int filters, int wide, int slices, int share) {
    SHARED(Word, shared);
    const int thread = threadIdx.x, group = blockIdx.y, split = blockIdx.z;
    const int down_blocks = wide / BM;  // neighbouring blocks share their positions, for the second cache
    const int k0 = static_cast<int>(blockIdx.x % down_blocks) * BM, n0 = static_cast<int>(blockIdx.x / down_blocks) * BN;
    const int pixels = P * Q, positions = N * pixels, G = gridDim.y;
    const int first = split * share, last = min(first + share, slices);

    // What this thread copies: one chunk of every LINES-th filter, w [G,slices,wide,CHUNKS], and position.
    const int line = thread / CHUNKS, chunk = thread % CHUNKS;
    const Chunk* a_source = w + ((static_cast<Index>(group) * slices + first) * wide + k0) * CHUNKS + thread;
    const int* offset_source = offsets + first * CHUNKS + chunk;
    const int a_to = line * LINE + (chunk ^ 2 * a_turn(line)) * 4, b_to = (BM + line) * LINE + (chunk ^ 2 * b_turn(line)) * 4;
    int places[B_COPIES];
#pragma unroll
    for (int i = 0; i < B_COPIES; ++i) {
        const int position = n0 + line + i * LINES, at = position < positions ? position : 0;
        const int row = at % pixels / Q * u, col = at % Q * v;
        places[i] = (((at / pixels * G + group) * padded_rows + row) * padded_cols + col) * chunks;
    }
    int offset = *offset_source;
    const auto load = [&](int stage) {
        Word* const to = shared + stage * STAGE;
#pragma unroll
        for (int i = 0; i < A_COPIES; ++i) copy_async_once(to + a_to + i * LINES * LINE, a_source + i * LINES * CHUNKS);
#pragma unroll
        for (int i = 0; i < B_COPIES; ++i) copy_async<16>(to + b_to + i * LINES * LINE, x + (places[i] + offset));
        a_source += static_cast<Index>(wide) * CHUNKS;
        offset_source += CHUNKS;
        offset = *offset_source;  // the table has a slice more than there are
    };

    const int warp = thread / 32, lane = thread % 32, g = lane / 4, t = lane % 4;
    const int m0 = warp / WARPS_ALONG * WM, j0 = warp % WARPS_ALONG * WN;
    float sums[TILES_M][TILES_N][4];
#pragma unroll
    for (int i = 0; i < TILES_M; ++i)
#pragma unroll
        for (int j = 0; j < TILES_N; ++j)
#pragma unroll
            for (int r = 0; r < 4; ++r) sums[i][j][r] = 0;

    for (int stage = 0; stage < STAGES - 1; ++stage) {
        if (first + stage < last) load(stage);
        commit_copies();
    }
    int stage = 0, free_stage = STAGES - 1;
    for (int slice = first; slice < last; ++slice) {
        wait_for_copies<STAGES - 2>();
        __syncthreads();  // this slice is there, and the one before has been multiplied by all
        if (slice + STAGES - 1 < last) load(free_stage);
        commit_copies();
        free_stage = stage;
        const Word* const a_lines = shared + stage * STAGE + (m0 + g) * LINE + 2 * t;
        const Word* const b_lines = shared + stage * STAGE + (BM + j0 + position_of(0, g)) * LINE + 2 * t;
        stage = stage + 1 == STAGES ? 0 : stage + 1;
#pragma unroll
        for (int pair = 0; pair < CHUNKS / 2; ++pair) {
            const int at = (pair ^ (g & 3)) * 8;  // lane g's lines are turned by g & 3, of either factor
            Word b[TILES_N][2], b_rest[TILES_N][2];
#pragma unroll
            for (int j = 0; j < TILES_N; ++j) {
                const Pair words = *reinterpret_cast<const Pair*>(b_lines + position_of(j, 0) * LINE + at);
                b[j][0] = words.low, b[j][1] = words.high;
                if constexpr (PARTS == 3) part(words.low, b[j][0], b_rest[j][0]), part(words.high, b[j][1], b_rest[j][1]);
            }
#pragma unroll
            for (int i = 0; i < TILES_M; ++i) {
                const Pair above = *reinterpret_cast<const Pair*>(a_lines + 16 * i * LINE + at);
                const Pair below = *reinterpret_cast<const Pair*>(a_lines + (16 * i + 8) * LINE + at);
                Word a[4] = {above.low, below.low, above.high, below.high};
                if constexpr (PARTS == 3) {  // the small products first, and no sum twice in a row
                    Word a_rest[4];
#pragma unroll
                    for (int r = 0; r < 4; ++r) part(Word{a[r]}, a[r], a_rest[r]);
#pragma unroll
                    for (int j = 0; j < TILES_N; ++j) MULTIPLY_TF32(sums[i][j], a, b_rest[j]);
#pragma unroll
                    for (int j = 0; j < TILES_N; ++j) MULTIPLY_TF32(sums[i][j], a_rest, b[j]);
                }
#pragma unroll
                for (int j = 0; j < TILES_N; ++j) {
                    if constexpr (HALVES)
                        MULTIPLY_HALVES(sums[i][j], a, b[j]);
                    else
                        MULTIPLY_TF32(sums[i][j], a, b[j]);
                }
            }
        }
    }

    const int K = G * filters;
    y += static_cast<Index>(split) * K * positions;
#pragma unroll
    for (int i = 0; i < TILES_M; ++i)
#pragma unroll
        for (int side = 0; side < 2; ++side) {
            const int k = k0 + m0 + 16 * i + 8 * side + g;
            if (k >= filters) continue;
#pragma unroll
            for (int j = 0; j < TILES_N; j += 2) {
                const float row[4] = {sums[i][j][2 * side], sums[i][j][2 * side + 1], sums[i][j + 1][2 * side],
                                      sums[i][j + 1][2 * side + 1]};
                put_results<4>(y, row, n0 + j0 + position_of(j, 2 * t), positions, pixels, K, group * filters + k);
            }
        }
}
