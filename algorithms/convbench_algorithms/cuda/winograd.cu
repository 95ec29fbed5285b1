// The transforms of Winograd convolution, on either side of a product for each frequency.
//
// Macros: REAL, STORED; MH, MW, outputs of a tile; AH, AW, its inputs; BT_H, BT_W [A,A] and AT_H, AT_W [M,A] as initialisers.
#include "common.cuh"

// out = matrix · in, both strided. The zeros of the matrix cost nothing: all of this is known when it is compiled.
template <int OUTS, int INS>
__device__ __forceinline__ void transform(const REAL (&matrix)[OUTS][INS], const REAL* in, int in_step, REAL* out,
                                          int out_step) {
#pragma unroll
    for (int i = 0; i < OUTS; ++i) {
        REAL sum = 0;
#pragma unroll
        for (int j = 0; j < INS; ++j)
            if (matrix[i][j] != 0) sum += matrix[i][j] * in[j * in_step];
        out[i * out_step] = sum;
    }
}

// V[f][c][t] = (Bᵀ d B)[f] for the patch d of x under tile t, from tile `first` on; a thread has one tile of one channel.
KERNEL_OF(128)
into_frequencies(const Stored* x, REAL* V, const int* rows, const int* cols, int padded_rows, int padded_cols, int H, int W,
                 int C, int down, int across, int first, int tiles) {
    constexpr REAL vertical[AH][AH] = BT_H, horizontal[AW][AW] = BT_W;
    const int t = blockIdx.x * blockDim.x + threadIdx.x, c = blockIdx.y;
    if (t >= tiles) return;
    const int tile = first + t;
    const int row = tile / across % down * MH, col = tile % across * MW;
    const Stored* plane = x + (static_cast<Index>(tile / across / down) * C + c) * H * W;
    REAL d[AH][AW], half[AH][AW];
#pragma unroll
    for (int i = 0; i < AH; ++i) {
        const int h = row + i < padded_rows ? rows[row + i] : -1;
#pragma unroll
        for (int j = 0; j < AW; ++j) d[i][j] = padded_at(plane, W, h, col + j < padded_cols ? cols[col + j] : -1);
    }
#pragma unroll
    for (int j = 0; j < AW; ++j) transform(vertical, &d[0][j], AW, &half[0][j], AW);
#pragma unroll
    for (int i = 0; i < AH; ++i) transform(horizontal, half[i], 1, d[i], 1);
#pragma unroll
    for (int i = 0; i < AH; ++i)
#pragma unroll
        for (int j = 0; j < AW; ++j) V[(static_cast<Index>(i * AW + j) * C + c) * tiles + t] = d[i][j];
}

// y's tile t = Aᵀ M A for the products M[f][k][t].
KERNEL_OF(128)
back(const REAL* products, Stored* y, int K, int P, int Q, int down, int across, int first, int tiles) {
    constexpr REAL vertical[MH][AH] = AT_H, horizontal[MW][AW] = AT_W;
    const int t = blockIdx.x * blockDim.x + threadIdx.x, k = blockIdx.y;
    if (t >= tiles) return;
    const int tile = first + t;
    REAL half[MH][AW];
#pragma unroll
    for (int j = 0; j < AW; ++j) {
        REAL column[AH], folded[MH];
#pragma unroll
        for (int i = 0; i < AH; ++i) column[i] = products[(static_cast<Index>(i * AW + j) * K + k) * tiles + t];
        transform(vertical, column, 1, folded, 1);
#pragma unroll
        for (int i = 0; i < MH; ++i) half[i][j] = folded[i];
    }
    const int p0 = tile / across % down * MH, q0 = tile % across * MW;
    Stored* plane = y + (static_cast<Index>(tile / across / down) * K + k) * P * Q;
#pragma unroll
    for (int i = 0; i < MH; ++i) {
        REAL line[MW];
        transform(horizontal, half[i], 1, line, 1);
#pragma unroll
        for (int j = 0; j < MW; ++j)
            if (p0 + i < P && q0 + j < Q) put(plane[static_cast<Index>(p0 + i) * Q + q0 + j], line[j]);
    }
}
