// x laid out anew, for the products and transforms of libraries.
//
// Macros: REAL, STORED; PARTS in `columns`: 1, or 3 for products of TF32's factors.
#include "tensor.cuh"

#ifdef PARTS

// The column matrix of one image: matrix[g][(c·R + r)·S + s][p·Q + q] = x[c, rows[u·p + d·r], cols[v·q + e·s]], for the
// channels c of group g. In three parts it has, for each group, what TF32 keeps of them all, then the rests, then the former
// again.
KERNEL_OF(256)
columns(const Stored* x, Stored* matrix, const int* rows, const int* cols, int H, int W, int R, int S, int P, int Q, int u,
        int v, int d, int e, int channels, Index first_plane, Index first_tap, Index taps) {
    const Index at = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= static_cast<Index>(P) * Q) return;
    const int p = static_cast<int>(at / Q), q = static_cast<int>(at % Q);
    const Index tap = first_tap + blockIdx.y;
    if (tap >= taps) return;
    const int r = static_cast<int>(tap / S % R), s = static_cast<int>(tap % S);
    const Stored* plane = x + (first_plane + tap / (R * S)) * H * W;
    const REAL value = padded_at(plane, W, rows[u * p + d * r], cols[v * q + e * s]);
    if (PARTS == 1) {
        put(matrix[tap * P * Q + at], value);
        return;
    }
    const Index part = static_cast<Index>(channels) * R * S;
    Stored* target = matrix + (tap / part * 3 * part + tap % part) * P * Q + at;
    put(target[0], tf32_of(value));
    put(target[part * P * Q], value - tf32_of(value));
    put(target[2 * part * P * Q], tf32_of(value));
}

#endif

// Tiles of [M,N] of each plane, [count][C][M,N]: tile (i, j) of an image begins at the padded position (i·step_rows,
// j·step_cols); they are counted along the rows of the first image, then down, then through the images.
KERNEL_OF(256)
tiles(const Stored* x, REAL* cut, const int* rows, const int* cols, int padded_rows, int padded_cols, int H, int W, int C,
      int M, int N, int down, int across, int step_rows, int step_cols, int first) {
    const int parts = ceil_div(N, static_cast<int>(blockDim.x));  // of a row, a block's each: no thread divides
    const int m = blockIdx.x / parts, n = blockIdx.x % parts * blockDim.x + threadIdx.x;
    if (n >= N) return;
    const int tile = first + blockIdx.z, c = blockIdx.y;
    const int row = tile / across % down * step_rows + m, col = tile % across * step_cols + n;
    const bool inside = row < padded_rows && col < padded_cols;
    const Stored* plane = x + (static_cast<Index>(tile / across / down) * C + c) * H * W;
    cut[((static_cast<Index>(blockIdx.z) * C + c) * M + m) * N + n] =
        inside ? padded_at(plane, W, rows[row], cols[col]) : REAL(0);
}
