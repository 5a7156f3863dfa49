// Matrix products for blocks of cells, and layer normalisation: the hot loops.
#pragma once
#include "simd.h"
#include "tiles.h"

namespace LNCA_ISA {

constexpr int MAX_CHANNELS = 512;  // largest padded number of channels of a cell in any layer
// Distance between the values of successive cells in the inputs of a matrix product. It is a constant, so that it is part of the
// instruction, and no power of two, so that the cells do not map to the same cache lines.
constexpr int STRIDE = MAX_CHANNELS + 32;

// Cells in a block: CELLS, whose sums fit the registers, or the rows of two tiles. A partial block is padded to a multiple of
// CELLS (see `filled`); the results of the padding are not used.
template <class T> constexpr int BLOCK = CELLS;
#if defined(__AMX_BF16__)
template <> constexpr int BLOCK<half> = 2 * TILE;
#endif
template <class T> constexpr int filled(int count) {
    return BLOCK<T> == CELLS ? CELLS : (count + CELLS - 1) / CELLS * CELLS;
}

// A linear map of K inputs to N outputs, both multiples of V: weight[K][N] and bias[N]. In bfloat16 the weight holds pairs of
// successive inputs, [K / 2][N], or for tiles of 16 outputs and 32 inputs [N / 16][K / 32][16][16], with K padded with zeros.
template <class T> struct Linear;
template <> struct Linear<float> {
    int inputs, outputs;
    const float *weight, *bias;
};

template <int NV>
inline __attribute__((always_inline)) void product(const float *x, const Linear<float> &map, int column, int apart,
                                                   vec (&sums)[CELLS][NV]) {
#pragma GCC unroll 8
    for (int m = 0; m < CELLS; m++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sums[m][v] = vec{};
    const float *weight = map.weight + column;
#pragma GCC unroll 2
    for (int k = 0; k < map.inputs; k++, weight += map.outputs) {
        vec w[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) w[v] = load(weight + v * apart);
#pragma GCC unroll 8
        for (int m = 0; m < CELLS; m++) {
            vec a = all(x[m * STRIDE + k]);
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++) sums[m][v] += a * w[v];
        }
    }
}

#if defined(__AVX512BF16__)
template <> struct Linear<half> {
    int inputs, outputs;
    const uint32_t *weight;
    const float *bias;
};
#endif

#if defined(__AVX512BF16__) && !defined(__AMX_BF16__)
template <int NV>
inline __attribute__((always_inline)) void product(const half *x, const Linear<half> &map, int column, int apart,
                                                   vec (&sums)[CELLS][NV]) {
#pragma GCC unroll 8
    for (int m = 0; m < CELLS; m++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sums[m][v] = vec{};
    const uint32_t *weight = map.weight + column;
#pragma GCC unroll 2
    for (int k = 0; k < map.inputs; k += 2, weight += map.outputs) {
        __m512i w[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) w[v] = _mm512_loadu_si512(weight + v * apart);
#pragma GCC unroll 8
        for (int m = 0; m < CELLS; m++) {
            uint32_t pair;
            std::memcpy(&pair, x + m * STRIDE + k, sizeof pair);
            __m512i a = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                sums[m][v] = (vec)_mm512_dpbf16_ps((__m512)sums[m][v], (__m512bh)a, (__m512bh)w[v]);
        }
    }
}
#endif

// Calls use(cell, column, value) with each vector, or pair of vectors, of the outputs with bias, for `members` cells (see
// `filled`).
template <class T, class Use>
inline __attribute__((always_inline)) void apply(T *x, int, const Linear<T> &map, Use use) {
    auto panel = [&]<int NV>(int column) __attribute__((always_inline)) {
        vec sums[CELLS][NV];
        product<NV>(x, map, column, V, sums);
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            vec bias = load(map.bias + column + v * V);
#pragma GCC unroll 8
            for (int m = 0; m < CELLS; m++) use(m, column + v * V, sums[m][v] + bias);
        }
    };
    int column = 0, left = map.outputs / V;
    for (; left > 3 || left == 2; left -= 2, column += 2 * V) panel.template operator()<2>(column);
    if (left == 3) panel.template operator()<3>(column);
    if (left == 1) panel.template operator()<1>(column);
}

// The same for two outputs at a time, at a distance of `apart` columns: calls use(cell, column, first, second).
template <class T, class Use>
inline __attribute__((always_inline)) void apply_pairs(T *x, int, const Linear<T> &map, int apart, Use use) {
    for (int column = 0; column < apart; column += V) {
        vec sums[CELLS][2];
        product<2>(x, map, column, apart, sums);
        vec b0 = load(map.bias + column), b1 = load(map.bias + column + apart);
#pragma GCC unroll 8
        for (int m = 0; m < CELLS; m++) use(m, column, sums[m][0] + b0, sums[m][1] + b1);
    }
}

#if defined(__AMX_BF16__)
// Outputs whose sums are computed before they are used. Vector operations run at half speed for about a hundred cycles after a
// tile product, so that it is faster to do many products and then many vector operations. More would not stay in the cache.
constexpr int SPAN = 64, SPAN_STRIDE = SPAN + 16;

// Computes sums[cell][output] for `count` outputs from `column` on.
inline void multiply(const half *x, int members, const Linear<half> &map, int column, int count, float *sums) {
    Runs cells{&x, 1, (map.inputs + DEPTH - 1) / DEPTH, STRIDE};
    multiply(cells, 0, members, map.weight + (int64_t)column / TILE * cells.tiles() * WORDS, count / TILE, sums, SPAN_STRIDE);
}

// Pads the inputs of the last tile with zeros.
inline void fill_up(half *x, int members, const Linear<half> &map) {
    if (map.inputs % DEPTH)
        for (int m = 0; m < members; m++) store(x + m * STRIDE + map.inputs, vec{});
}

template <class Use>
inline __attribute__((always_inline)) void apply(half *x, int members, const Linear<half> &map, Use use) {
    alignas(64) float sums[BLOCK<half> * SPAN_STRIDE];
    fill_up(x, members, map);
    for (int first = 0; first < map.outputs; first += SPAN) {
        int count = std::min(SPAN, map.outputs - first), c = 0;
        multiply(x, members, map, first, count, sums);
        auto each = [&]<class Values>(Values bias) __attribute__((always_inline)) {
            for (int m = 0; m < members; m++) use(m, first + c, load_as<Values>(sums + m * SPAN_STRIDE + c) + bias);
        };
        for (; c + 2 * V <= count; c += 2 * V) each(load_as<Two>(map.bias + first + c));
        if (c < count) each(load(map.bias + first + c));
    }
}

template <class Use>
inline __attribute__((always_inline)) void apply_pairs(half *x, int members, const Linear<half> &map, int apart, Use use) {
    constexpr int half_span = SPAN / 2;
    alignas(64) float sums[BLOCK<half> * SPAN_STRIDE];
    fill_up(x, members, map);
    for (int first = 0; first < apart; first += half_span) {
        int count = std::min(half_span, apart - first), c = 0;
        multiply(x, members, map, first, count, sums);
        multiply(x, members, map, first + apart, count, sums + half_span);
        auto each = [&]<class Values>(Values b0, Values b1) __attribute__((always_inline)) {
            for (int m = 0; m < members; m++) {
                const float *at = sums + m * SPAN_STRIDE + c;
                use(m, first + c, load_as<Values>(at) + b0, load_as<Values>(at + half_span) + b1);
            }
        };
        const float *bias = map.bias + first;
        for (; c + 2 * V <= count; c += 2 * V) each(load_as<Two>(bias + c), load_as<Two>(bias + apart + c));
        if (c < count) each(load(bias + c), load(bias + apart + c));
    }
}
#endif

// Layer normalisation without scale and shift, for `members` cells (see `filled`) with `count` channels, padded with zeros to a
// multiple of V. The sums of all groups of CELLS cells are computed first, so that the latencies of the groups overlap.
template <class T> inline void normalise(const float *x, T *result, int members, int count, float epsilon) {
    constexpr int GROUPS = BLOCK<T> / CELLS;
    alignas(64) float mean[GROUPS][V], scale[GROUPS][V];
    int wide = padded(count), groups = members / CELLS;
    for (int g = 0; g < groups; g++) {
        const float *cells = x + g * CELLS * STRIDE;
        vec totals[CELLS];
#pragma GCC unroll 8
        for (int m = 0; m < CELLS; m++) totals[m] = vec{};
        for (int c = 0; c < wide; c += V)
#pragma GCC unroll 8
            for (int m = 0; m < CELLS; m++) totals[m] += load(cells + m * STRIDE + c);
        store(mean[g], sums(totals) * (1.0f / count));
    }
    for (int g = 0; g < groups; g++) {
        const float *cells = x + g * CELLS * STRIDE;
        vec squares[CELLS], means = load(mean[g]);
#pragma GCC unroll 8
        for (int m = 0; m < CELLS; m++) squares[m] = vec{};
        for (int c = 0; c < wide; c += V)
#pragma GCC unroll 8
            for (int m = 0; m < CELLS; m++) {
                vec centred = load(cells + m * STRIDE + c) - mean[g][m * SPREAD];
                squares[m] += centred * centred;
            }
        vec variance = (sums(squares) - float(wide - count) * means * means) * (1.0f / count);
        store(scale[g], 1.0f / square_root(variance + epsilon));
    }
    for (int m = 0; m < groups * CELLS; m++) {
        float factor = scale[m / CELLS][m % CELLS * SPREAD], shift = -mean[m / CELLS][m % CELLS * SPREAD] * factor;
        const float *cell = x + m * STRIDE;
        int c = 0;
        for (; c + 2 * V <= wide; c += 2 * V) store(result + m * STRIDE + c, load_as<Two>(cell + c) * factor + shift);
        if (c < wide) store(result + m * STRIDE + c, load(cell + c) * factor + shift);
    }
}

}  // namespace LNCA_ISA
