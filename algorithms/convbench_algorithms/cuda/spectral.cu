// Products of spectra, and the outputs taken out of what is transformed back.
//
// Macros: REAL, STORED; FILTERS, output channels of a thread.
#include "complex.cuh"

// y[tile,k,f] = Σ_c x[tile, g·C/G + c, f] · conj w[k,c,f], g = k div K/G; a thread has one frequency of a tile.
KERNEL_OF(128)
multiply(const Complex* x, const Complex* w, Complex* y, int frequencies, int C, int K, int channels, int filters) {
    const int f = blockIdx.x * blockDim.x + threadIdx.x;
    if (f >= frequencies) return;
    const int k0 = blockIdx.y * FILTERS;
    const Complex* seen = x + (static_cast<Index>(blockIdx.z) * C + k0 / filters * channels) * frequencies + f;
    Complex sums[FILTERS];
#pragma unroll
    for (int k = 0; k < FILTERS; ++k) sums[k] = {0, 0};
    for (int c = 0; c < channels; ++c) {
        const Complex a = seen[static_cast<Index>(c) * frequencies];
#pragma unroll
        for (int k = 0; k < FILTERS; ++k) {
            const Complex b = w[(static_cast<Index>(k0 + k) * channels + c) * frequencies + f];
            sums[k].re += a.re * b.re + a.im * b.im;
            sums[k].im += a.im * b.re - a.re * b.im;
        }
    }
#pragma unroll
    for (int k = 0; k < FILTERS; ++k) y[(static_cast<Index>(blockIdx.z) * K + k0 + k) * frequencies + f] = sums[k];
}

// y[image,k,p,q] = scale · tiles[tile,k,u·i,v·j] for the fit_rows × fit_cols outputs (i, j) of each tile.
KERNEL_OF(256)
crop(const REAL* tiles, Stored* y, REAL scale, int K, int P, int Q, int M, int N, int u, int v, int down, int across,
     int fit_rows, int fit_cols, int first) {
    const int parts = ceil_div(fit_cols, static_cast<int>(blockDim.x));
    const int i = blockIdx.x / parts, j = blockIdx.x % parts * blockDim.x + threadIdx.x, k = blockIdx.y;
    if (j >= fit_cols) return;
    const int tile = first + blockIdx.z;
    const int p = tile / across % down * fit_rows + i, q = tile % across * fit_cols + j;
    if (p >= P || q >= Q) return;
    const REAL value = tiles[((static_cast<Index>(blockIdx.z) * K + k) * M + u * i) * N + v * j];
    put(y[((static_cast<Index>(tile / across / down) * K + k) * P + p) * Q + q], scale * value);
}
