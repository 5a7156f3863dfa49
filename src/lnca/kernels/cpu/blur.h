// Blurring with a kernel for every cell (`lnca.nn.deconvolution`), and its derivatives. A cell's row of pixels, 4 times the
// channels, is worked on as a few vectors.
#pragma once
#include "simd.h"

namespace LNCA_ISA {

constexpr int SHARE = 32;  // cells of a row that one thread works on
constexpr int CELL = 4;         // pixels of a cell's side
constexpr int MOST_FLOATS = 64;  // of a row of a cell, padded

// Pictures with a margin of side / 2 pixels above and on the left, and at least as much below and, with V floats more, on the
// right; `pitch` floats from row to row, `picture` from picture to picture.
struct Blurred {
    int64_t batch, rows, columns, pitch, picture;  // rows and columns of cells
    int side, channels;

    int floats() const { return CELL * channels; }
    int64_t width() const { return columns * floats(); }  // floats of a row of pixels without margins
    int64_t kernel(int64_t image, int64_t row, int64_t column) const {
        return ((image * rows + row) * columns + column) * side * side;
    }
    int64_t padded(int64_t image, int64_t row, int64_t column) const {
        return image * picture + row * CELL * pitch + column * floats();
    }
    int64_t plain(int64_t image, int64_t row, int64_t column) const {
        return (image * rows + row) * CELL * width() + column * floats();
    }
};

// Cells [begin, end) of a row of `result`.
inline void blur_row(const Blurred &b, const float *padded, const float *kernels, float *result, int64_t image, int64_t row,
                     int64_t begin, int64_t end) {
    int n = b.floats();
    for (int64_t column = begin; column < end; column++) {
        const float *from = padded + b.padded(image, row, column), *kernel = kernels + b.kernel(image, row, column);
        float *to = result + b.plain(image, row, column);
        for (int i = 0; i < n; i += V) {
            vec sums[CELL] = {};
            for (int t = 0; t < b.side * b.side; t++) {
                const float *x = from + t / b.side * b.pitch + t % b.side * b.channels + i;
#pragma GCC unroll 4
                for (int r = 0; r < CELL; r++) sums[r] += all(kernel[t]) * load(x + r * b.pitch);
            }
            for (int r = 0; r < CELL; r++) {
                alignas(64) float value[V];
                store(value, sums[r]);
                std::memcpy(to + r * b.width() + i, value, sizeof(float) * std::min(V, n - i));
            }
        }
    }
}

// Adds to `padded_gradient`, unless it is null, and sets `kernel_gradient`, of one picture, from the gradient of the
// result.
inline void blur_backward(const Blurred &b, const float *padded, const float *kernels, const float *gradient,
                          float *padded_gradient, float *kernel_gradient, int64_t image) {
    int n = b.floats();
    for (int64_t row = 0; row < b.rows; row++)
        for (int64_t column = 0; column < b.columns; column++) {
            int64_t at = b.padded(image, row, column);
            const float *kernel = kernels + b.kernel(image, row, column);
            float *wanted = kernel_gradient + b.kernel(image, row, column);
            const float *from = gradient + b.plain(image, row, column);
            alignas(64) float g[CELL * MOST_FLOATS] = {};  // zero beyond the cell's row
            for (int r = 0; r < CELL; r++) std::memcpy(g + r * MOST_FLOATS, from + r * b.width(), sizeof(float) * n);
            // Column by column of the kernel: what one column stores is not read again, shifted by some floats, at once.
            for (int k = 0; k < b.side; k++) {
                int64_t place = at + k * b.channels;
                for (int i = 0; padded_gradient && i < n; i += V) {
                    vec rows[CELL];
                    for (int r = 0; r < CELL; r++) rows[r] = load(g + r * MOST_FLOATS + i);
                    for (int y = 0; y < b.side + CELL - 1; y++) {
                        float *x = padded_gradient + place + y * b.pitch + i;
                        vec sum = load(x);
#pragma GCC unroll 4
                        for (int r = 0; r < CELL; r++)
                            if (y >= r && y - r < b.side) sum += all(kernel[(y - r) * b.side + k]) * rows[r];
                        store(x, sum);
                    }
                }
                for (int y = 0; y < b.side; y += CELLS) {
                    vec totals[CELLS] = {};
                    int count = std::min(CELLS, b.side - y);
                    for (int i = 0; i < n; i += V) {
                        vec rows[CELL];
                        for (int r = 0; r < CELL; r++) rows[r] = load(g + r * MOST_FLOATS + i);
                        // A row of the picture is read once for all the taps that meet it.
#pragma GCC unroll 32
                        for (int m = 0; m < CELLS + CELL - 1; m++) {
                            if (m >= count + CELL - 1) break;
                            vec x = load(padded + place + (y + m) * b.pitch + i);
#pragma GCC unroll 4
                            for (int r = 0; r < CELL; r++)
                                if (m >= r && m - r < CELLS) totals[m - r] += rows[r] * x;
                        }
                    }
                    vec total = sums(totals);
                    for (int m = 0; m < count; m++) wanted[(y + m) * b.side + k] = total[m * SPREAD];
                }
            }
        }
}

}  // namespace LNCA_ISA
