// x with its padding written out, so that a tap lies equally far from every position: kernels that gather need no maps then.
//
// Macros: REAL, STORED; ROUNDED in `channels_last`: whether to what TF32 keeps.
#include "tensor.cuh"

// padded[n·C + c][row][col], in the type that is computed in. Threads: 32 columns × 8 lines of all planes.
KERNEL_OF(256)
planes(const Stored* x, REAL* padded, const int* rows, const int* cols, int H, int W, int padded_rows, int padded_cols,
       int lines) {
    const int line = blockIdx.x * blockDim.y + threadIdx.y, col = blockIdx.y * blockDim.x + threadIdx.x;
    if (line >= lines || col >= padded_cols) return;
    const int row = rows[line % padded_rows];
    padded[static_cast<Index>(line) * padded_cols + col] =
        padded_at(x + static_cast<Index>(line / padded_rows) * H * W, W, row, cols[col]);
}

#ifdef ROUNDED

// padded[n·G + g][row][col][chunk], of 16 bytes of channels each, zeros beyond the last one. A block turns 32 columns of eight
// chunks: it reads lines of x and writes lines of 128 bytes. Lines of its tile are 33 elements apart, so that the lanes of
// neither meet in a bank. Threads: 32 × 8.
KERNEL_OF(256)
channels_last(const Stored* x, Lanes<Stored>* padded, const int* rows, const int* cols, int H, int W, int padded_rows,
              int padded_cols, int channels, int chunks, int groups) {
    constexpr int COLS = 32, DOWN = 8, PITCH = COLS + 1, CHUNKS = 8, LOADS = CHUNKS * LANES / DOWN;
    SHARED(Stored, tile);  // [8·LANES][PITCH]
    const int across = ceil_div(padded_cols, COLS);
    const int line = blockIdx.x / across;  // of all images
    const Index plane = static_cast<Index>(line / padded_rows) * groups + blockIdx.z;
    const int row = rows[line % padded_rows], col0 = static_cast<int>(blockIdx.x % across) * COLS;
    const int chunk0 = blockIdx.y * CHUNKS, col = col0 + static_cast<int>(threadIdx.x);
    const int from = row >= 0 && col < padded_cols ? cols[col] : -1;
    const Stored* source = x + (plane * channels * H + max(row, 0)) * W + max(from, 0);
    Stored values[LOADS];  // all on their way before the first is needed
#pragma unroll
    for (int i = 0; i < LOADS; ++i) {
        const int channel = chunk0 * LANES + threadIdx.y + i * DOWN;
        values[i] = {};
        if (from >= 0 && channel < channels) values[i] = source[static_cast<Index>(channel) * H * W];
    }
#pragma unroll
    for (int i = 0; i < LOADS; ++i) {
#if ROUNDED
        values[i] = tf32_of(values[i]);
#endif
        tile[(threadIdx.y + i * DOWN) * PITCH + threadIdx.x] = values[i];
    }
    __syncthreads();
    const int thread = threadIdx.y * COLS + threadIdx.x, chunk = thread % CHUNKS, j = thread / CHUNKS;
    if (chunk0 + chunk >= chunks || col0 + j >= padded_cols) return;
    Lanes<Stored> lanes;
#pragma unroll
    for (int l = 0; l < LANES; ++l) lanes.at[l] = tile[(chunk * LANES + l) * PITCH + j];
    padded[((plane * padded_rows + line % padded_rows) * padded_cols + col0 + j) * chunks + chunk0 + chunk] = lanes;
}

#endif
