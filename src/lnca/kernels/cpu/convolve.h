// The convolutions of the autoencoders, batch norms (paper 3.1.1) folded in, a row at a time, for bands of any height. A value is the same wherever a band begins: what lies outside the picture counts as zero and is added all the same.
#pragma once
#include "matmul.h"
#include "plan.h"

namespace LNCA_ISA {

constexpr int WIDEST = 1024;  // channels that are read

// Output rows and columns at `out` read input `in` through tap `tap`; false when they do not.
inline bool reads(int kind, int64_t out, int tap, int64_t &in) {
    if (kind == 3) in = out;
    else if (kind == 0) in = out + tap - 1;
    else if (kind == 1) in = 2 * out + tap;
    else {
        // Transposed: out = 2 * in + tap.
        if ((out - tap) & 1) return false;
        in = (out - tap) >> 1;
    }
    return true;
}

// `N` vectors of outputs from `o` on, of one row: each input is loaded once for all of them.
template <int N>
inline void convolve_outputs(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t image,
                             int64_t row, int o) {
    static const float zeros[WIDEST] = {};
    int wide = padded(layer.outputs), taps = layer.kind == 3 ? 1 : 3;
    const float *picture = input.values + image * input.rows * input.columns * layer.inputs;
    float *result = output.values + (image * output.rows + row) * output.columns * layer.outputs;
    // Columns of equal parity read through the same taps, so a transposed layer does even and odd ones in turn.
    int64_t apart = layer.kind == 2 ? 2 : 1;
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
                const float *weight = layer.weight + tap * layer.inputs * wide + o;
                for (int c = 0; c < layer.inputs; c++, weight += wide) {
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
            for (int n = 0; n < N; n++) {
                int first = o + n * V, count = std::min(layer.outputs - first, V);
                for (int m = 0; m < CELLS && begin + m * apart < output.columns; m++) {
                    alignas(64) float value[V];
                    vec result_m = sums[n][m];
                    if (layer.activation != 2) {
                        vec sigmoid = reciprocal(1.0f + exponential(minimum(-result_m, all(80.0f))));
                        result_m = layer.activation ? sigmoid : result_m * sigmoid;
                    }
                    store(value, result_m);
                    std::memcpy(result + (begin + m * apart) * layer.outputs + first, value, sizeof(float) * count);
                }
            }
        }
}

inline void convolve_row(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t image,
                         int64_t row) {
    int wide = padded(layer.outputs), o = 0;
    // As many accumulators as the registers hold.
    if constexpr (V == 16) {
        if (wide % (3 * V) == 0)
            for (; o < wide; o += 3 * V) convolve_outputs<3>(layer, input, output, image, row, o);
        for (; wide - o >= 2 * V; o += 2 * V) convolve_outputs<2>(layer, input, output, image, row, o);
    }
    for (; o < wide; o += V) convolve_outputs<1>(layer, input, output, image, row, o);
}

}  // namespace LNCA_ISA
