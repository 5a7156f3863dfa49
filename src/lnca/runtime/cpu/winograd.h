// 3x3 convolutions of stride 1 with 16 instead of 36 products for 2x2 outputs: F(2x2, 3x3) of Lavin and Gray ("Fast Algorithms for
// Convolutional Neural Networks", CVPR 2016, arXiv:1509.09308), Y = A^T [(G g G^T) * (B^T d B)] A, with d the 4x4 inputs around.
// The squares of 2x2 outputs begin at even rows and columns of the picture. The upper row of a square does not depend on the last
// row of its inputs, and the lower row not on the first. So either input row may be missing at the end of a band, and a value is
// the same wherever a band begins.
#pragma once
#include "convolve.h"

namespace LNCA_ISA {

constexpr int PLACES = 16;           // positions of a transformed square of inputs, weights or products
constexpr int SQUARES = 4 * CELLS;   // squares that are computed at a time, which use the weights while they are in the cache

// Floats between places of transformed inputs with so many channels. Without the cache line at the end the places of a square would
// often be 4096 bytes apart, and compete for the same few lines of the cache.
constexpr int spaced(int wide) { return SQUARES * wide + 16; }

// Size of the buffer of a thread in floats: the inputs of SQUARES squares, and the products of three vectors of outputs.
inline int64_t winograd_buffer_floats(const LncaConvolution &layer) {
    return PLACES * (spaced(padded(layer.inputs)) + SQUARES * 3 * V) + 64 / sizeof(float);
}

// B^T x of four rows or columns.
inline __attribute__((always_inline)) void transform_inputs(const vec (&x)[4], vec (&result)[4]) {
    result[0] = x[0] - x[2], result[1] = x[1] + x[2], result[2] = x[2] - x[1], result[3] = x[1] - x[3];
}

// Computes B^T d B of `count` squares, from column `begin` on, as inputs[place][square][padded channels].
inline void transform_squares(const LncaConvolution &layer, const LncaBand &input, int64_t image, int64_t row, int64_t begin,
                              int count, float *inputs) {
    static const float zeros[MAX_INPUTS + V] = {};
    const float *rows[4];
    int64_t steps[4];  // floats from one column to the next; none in a row of zeros
    for (int r = 0; r < 4; r++) {
        int64_t y = row + r - 1, place = y - input.first;
        bool inside = y >= 0 && y < input.height && place >= 0 && place < input.rows;
        rows[r] = inside ? input.values + (image * input.rows + place) * input.columns * layer.inputs : zeros;
        steps[r] = inside ? layer.inputs : 0;
    }
    int wide = padded(layer.inputs);
    for (int c = 0; c < wide; c += V) {
        int channels = std::min(V, layer.inputs - c);
        vec columns[4][4];
        auto take = [&](int64_t column, vec (&result)[4]) __attribute__((always_inline)) {
            vec x[4] = {};
            if (column >= 0 && column < input.columns) {
#pragma GCC unroll 4
                for (int r = 0; r < 4; r++) {
                    const float *at = rows[r] + column * steps[r] + c;
                    if (channels == V) x[r] = load(at);
                    else std::memcpy(&x[r], at, sizeof(float) * channels);
                }
            }
            transform_inputs(x, result);
        };
        take(begin - 1, columns[2]), take(begin, columns[3]);
        for (int m = 0; m < count; m++) {
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++) columns[0][r] = columns[2][r], columns[1][r] = columns[3][r];
            take(begin + 2 * m + 1, columns[2]), take(begin + 2 * m + 2, columns[3]);
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++) {
                vec x[4] = {columns[0][r], columns[1][r], columns[2][r], columns[3][r]}, places[4];
                transform_inputs(x, places);
#pragma GCC unroll 4
                for (int s = 0; s < 4; s++) store(inputs + (4 * r + s) * spaced(wide) + m * wide + c, places[s]);
            }
        }
    }
}

// Computes `N` vectors of output channels, from `o` on, for `count` squares, a multiple of CELLS, from their transformed inputs.
// `products` is a buffer.
template <int N>
inline void winograd_outputs(const LncaConvolution &layer, const LncaBand &output, int64_t image,
                             int64_t row, int64_t begin, int count, int o, const float *inputs, float *products) {
    int wide = padded(layer.inputs);
    for (int place = 0; place < PLACES; place++)
        for (int first = 0; first < count; first += CELLS) {
            vec sums[N][CELLS];
#pragma GCC unroll 3
            for (int n = 0; n < N; n++)
#pragma GCC unroll 8
                for (int m = 0; m < CELLS; m++) sums[n][m] = vec{};
            const float *x = inputs + place * spaced(wide) + first * wide;
            const float *weight = layer.weight + ((int64_t)o * PLACES + place * N * V) * layer.inputs;
#pragma GCC unroll 2
            for (int c = 0; c < layer.inputs; c++, weight += N * V) {
                vec weights[N];
#pragma GCC unroll 3
                for (int n = 0; n < N; n++) weights[n] = load(weight + n * V);
#pragma GCC unroll 8
                for (int m = 0; m < CELLS; m++) {
                    vec value = all(x[m * wide + c]);
#pragma GCC unroll 3
                    for (int n = 0; n < N; n++) sums[n][m] += value * weights[n];
                }
            }
#pragma GCC unroll 8
            for (int m = 0; m < CELLS; m++)
#pragma GCC unroll 3
                for (int n = 0; n < N; n++) store(products + (((first + m) * PLACES + place) * N + n) * V, sums[n][m]);
        }
    for (int m = 0; m < count; m++) {
        // The pixels of the square that are in the band, row by row, and what is added to them.
        float *pixels[4];
        const float *before[4];
        for (int i = 0; i < 4; i++) {
            int64_t place = row + i / 2 - output.first, column = begin + 2 * m + i % 2;
            bool inside = place >= 0 && place < output.rows && column < output.columns;
            int64_t pixel = ((image * output.rows + place) * output.columns + column) * layer.outputs;
            pixels[i] = inside ? output.values + pixel : nullptr;
            before[i] = inside ? added(layer, output, image, place, column) : nullptr;
        }
        for (int n = 0; n < N; n++) {
            const float *square = products + (m * PLACES * N + n) * V;
            vec bias = load(layer.bias + o + n * V), sums[4][2];
#pragma GCC unroll 4
            for (int r = 0; r < 4; r++) {
                vec x[4];
#pragma GCC unroll 4
                for (int s = 0; s < 4; s++) x[s] = load(square + (4 * r + s) * N * V);
                sums[r][0] = x[0] + x[1] + x[2];
                sums[r][1] = x[1] - x[2] - x[3];
            }
#pragma GCC unroll 2
            for (int s = 0; s < 2; s++) {
                vec values[2] = {sums[0][s] + sums[1][s] + sums[2][s], sums[1][s] - sums[2][s] - sums[3][s]};
#pragma GCC unroll 2
                for (int r = 0; r < 2; r++)
                    if (float *pixel = pixels[2 * r + s]) finish(layer, values[r] + bias, o + n * V, before[2 * r + s], pixel);
            }
        }
    }
}

// Computes output rows `row`, which is even, and `row` + 1, as far as they are in the output band.
inline void winograd_rows(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t image,
                          int64_t row, float *buffer) {
    float *inputs = reinterpret_cast<float *>((reinterpret_cast<uintptr_t>(buffer) + 63) & ~uintptr_t(63));
    float *products = inputs + PLACES * spaced(padded(layer.inputs));
    for (int64_t begin = 0; begin < output.columns; begin += 2 * SQUARES) {
        int64_t left = (output.columns - begin + 1) / 2;
        int count = int(std::min<int64_t>(SQUARES, (left + CELLS - 1) / CELLS * CELLS));
        transform_squares(layer, input, image, row, begin, count, inputs);
        in_panels(padded(layer.outputs), [&]<int N>(int o) {
            winograd_outputs<N>(layer, output, image, row, begin, count, o, inputs, products);
        });
    }
}

}  // namespace LNCA_ISA
