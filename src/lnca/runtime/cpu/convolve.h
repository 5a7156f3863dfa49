// Convolutions, with batch normalisations (paper 3.1.1) folded in, row by row, for bands of any height. A value is the same
// wherever a band begins: positions outside the picture are zero, and their products are added like all others.
#pragma once
#include "matmul.h"
#include "plan.h"

namespace LNCA_ISA {

constexpr int MAX_INPUTS = 1024;  // largest number of input channels

// Sets `in` to the input row (or column) that output row (or column) `out` reads through tap `tap`; false if there is none.
inline bool reads(LncaConvolutionKind kind, int64_t out, int tap, int64_t &in) {
    if (kind == LNCA_POINTWISE) in = out;
    else if (kind == LNCA_SAME) in = out + tap - 1;
    else if (kind == LNCA_HALVING) in = 2 * out + tap;
    else {
        // Transposed: out = 2 * in + tap.
        if ((out - tap) & 1) return false;
        in = (out - tap) >> 1;
    }
    return true;
}

// Applies the activation to a vector of a pixel's outputs, from channel `o` on, adds `before` unless it is null, and stores it.
inline __attribute__((always_inline)) void finish(const LncaConvolution &layer, vec value, int o, const float *before,
                                                  float *pixel) {
    if (layer.activation == LNCA_RELU) {
        value = maximum(value, vec{});
    } else if (layer.activation != LNCA_IDENTITY) {
        vec sigmoid = reciprocal(1.0f + exponential(minimum(-value, all(80.0f))));
        value = layer.activation == LNCA_SIGMOID ? sigmoid : value * sigmoid;
    }
    if (o + V <= layer.outputs) return store(pixel + o, before ? value + load(before + o) : value);
    for (int i = 0; i < layer.outputs - o; i++) pixel[o + i] = before ? value[i] + before[o + i] : value[i];
}

// The address of the values that are added to a pixel's outputs; null if there are none. `row` counts from the first output row.
inline const float *added(const LncaConvolution &layer, const LncaBand &output, int64_t image, int64_t row, int64_t column) {
    const LncaBand *band = layer.added;
    if (!band) return nullptr;
    int64_t y = image * band->rows + output.first + row - band->first;
    return band->values + (y * band->columns + column) * layer.outputs;
}

// Computes `N` vectors of output channels, from `o` on, of one row. Each input is loaded once for all of them.
template <int N>
inline void convolve_outputs(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t image,
                             int64_t row, int o) {
    static const float zeros[MAX_INPUTS] = {};
    int taps = layer.kind == LNCA_POINTWISE ? 1 : 3;
    const float *picture = input.values + image * input.rows * input.columns * layer.inputs;
    float *result = output.values + (image * output.rows + row) * output.columns * layer.outputs;
    // In a transposed layer, columns of equal parity read through the same taps, so even and odd ones are computed separately.
    int64_t apart = layer.kind == LNCA_DOUBLING ? 2 : 1;
    for (int64_t parity = 0; parity < apart; parity++)
        for (int64_t begin = parity; begin < output.columns; begin += CELLS * apart) {
            vec sums[N][CELLS];
            for (int n = 0; n < N; n++)
                for (int m = 0; m < CELLS; m++) sums[n][m] = load(layer.bias + o + n * V);
            for (int tap = 0; tap < taps * taps; tap++) {
                int64_t y, column;
                if (!reads(layer.kind, output.first + row, tap / taps, y) || !reads(layer.kind, begin, tap % taps, column))
                    continue;
                const float *x[CELLS];
                for (int m = 0; m < CELLS; m++) {
                    reads(layer.kind, begin + m * apart, tap % taps, column);
                    bool inside = y >= 0 && y < input.height && column >= 0 && column < input.columns;
                    x[m] = inside ? picture + ((y - input.first) * input.columns + column) * layer.inputs : zeros;
                }
                const float *weight = layer.weight + ((int64_t)o * taps * taps + tap * N * V) * layer.inputs;
                for (int c = 0; c < layer.inputs; c++, weight += N * V) {
                    vec weights[N];
                    for (int n = 0; n < N; n++) weights[n] = load(weight + n * V);
#pragma GCC unroll 8
                    for (int m = 0; m < CELLS; m++) {
                        vec value = all(x[m][c]);
#pragma GCC unroll 3
                        for (int n = 0; n < N; n++) sums[n][m] += value * weights[n];
                    }
                }
            }
            for (int n = 0; n < N; n++)
                for (int m = 0; m < CELLS && begin + m * apart < output.columns; m++) {
                    int64_t x = begin + m * apart;
                    finish(layer, sums[n][m], o + n * V, added(layer, output, image, row, x), result + x * layer.outputs);
                }
        }
}

#if defined(__aarch64__)
constexpr bool FEW_REGISTERS = false;
#else
constexpr bool FEW_REGISTERS = V == 4;
#endif

// The number of vectors of outputs that are computed together, from output `o` of `wide` on. With few sums each addition would wait
// for the one before it; more do not fit the registers.
constexpr int panel(int wide, int o) {
    int left = (wide - o) / V;
    if (V == 16) return wide % (3 * V) == 0 ? 3 : std::min(left, 2);
    return left >= 3 && left != 4 && !FEW_REGISTERS ? 3 : std::min(left, 2);
}

// Calls use<N>(o) for each panel, of N vectors from output `o` on.
template <class Use> inline __attribute__((always_inline)) void in_panels(int wide, Use use) {
    for (int o = 0, count; o < wide; o += count * V) {
        count = panel(wide, o);
        if (count == 3) use.template operator()<3>(o);
        else if (count == 2) use.template operator()<2>(o);
        else use.template operator()<1>(o);
    }
}

inline void convolve_row(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t image,
                         int64_t row) {
    in_panels(padded(layer.outputs), [&]<int N>(int o) { convolve_outputs<N>(layer, input, output, image, row, o); });
}

#if defined(__AMX_BF16__)
constexpr int PIXELS = 2 * TILE;  // pixels that are computed at a time
// Numbers in a buffered input row: the pixels, a margin of zeros on both sides, and padding for whole vectors and tiles.
inline int64_t row_pitch(const LncaConvolution &layer, const LncaBand &input) {
    int64_t columns = (input.columns + PIXELS - 1) / PIXELS * PIXELS;
    return (columns + 3) * layer.inputs + 2 * V + DEPTH;
}

// Computes output rows [row, end) of a convolution of stride 1 in bfloat16. The inputs of a row of taps are the channels of
// successive pixels, which are contiguous. Where a tile of inputs reaches beyond them, the weights are zero. `buffer` holds the
// last input rows in bfloat16, one for each row of taps.
inline void convolve_rows(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t image,
                          int64_t row, int64_t end, half *buffer) {
    int taps = layer.kind == LNCA_POINTWISE ? 1 : 3, margin = taps / 2, inputs = layer.inputs, wide = padded(layer.outputs);
    int64_t numbers = input.columns * inputs, pitch = row_pitch(layer, input);
    auto place = [&](int64_t y) { return buffer + (y + taps) % taps * pitch; };
    auto take = [&](int64_t y) {
        half *to = place(y) + margin * inputs;
        if (y < 0 || y >= input.height) return std::fill(to, to + numbers, 0);
        const float *from = input.values + (image * input.rows + y - input.first) * numbers;
        int64_t i = 0;
        for (; i + 2 * V <= numbers; i += 2 * V) store(to + i, load_as<Two>(from + i));
        alignas(64) float last[2 * V] = {};
        std::memcpy(last, from + i, sizeof(float) * (numbers - i));
        store(to + i, load_as<Two>(last));
    };
    for (int64_t y = -margin; y < margin; y++) take(output.first + row + y);
    for (; row < end; row++) {
        const half *places[3];
        take(output.first + row + margin);
        for (int r = 0; r < taps; r++) places[r] = place(output.first + row + r - margin);
        Runs window{places, taps, (taps * inputs + DEPTH - 1) / DEPTH, inputs};
        float *result = output.values + (image * output.rows + row) * output.columns * layer.outputs;
        for (int64_t begin = 0; begin < output.columns; begin += PIXELS) {
            int count = int(std::min<int64_t>(PIXELS, output.columns - begin));
            for (int o = 0; o < wide; o += SPAN) {
                alignas(64) float sums[PIXELS * SPAN_STRIDE];
                int span = std::min(SPAN, wide - o);
                multiply(window, begin * inputs, count, layer.tiles + (int64_t)o / TILE * window.tiles() * WORDS,
                         span / TILE, sums, SPAN_STRIDE);
                for (int c = 0; c < span; c += V) {
                    vec bias = load(layer.bias + o + c);
                    for (int m = 0; m < count; m++)
                        finish(layer, load(sums + m * SPAN_STRIDE + c) + bias, o + c,
                               added(layer, output, image, row, begin + m), result + (begin + m) * layer.outputs);
                }
            }
        }
    }
}
#endif

}  // namespace LNCA_ISA
