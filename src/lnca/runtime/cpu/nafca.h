// A step of NAFCA (paper 3.1.2) in two passes over a row of cells.
//
// First pass: normalisation, embedding, gate, and the nine dot products of the single filter of equation (2), so that neighbours
// exchange nine scalars. Second pass: scalar attention, projection, update block and head. Scale and shift of the normalisations,
// beta and gamma are already folded into the linear maps.
#pragma once
#include "matmul.h"
#include "plan.h"

namespace LNCA_ISA {

template <class T> Linear<T> linear(const LncaMap &map);
template <> inline Linear<float> linear<float>(const LncaMap &map) {
    return {map.inputs, map.outputs, map.weight, map.bias};
}
#if defined(__AVX512BF16__)
template <> inline Linear<half> linear<half>(const LncaMap &map) {
    return {map.inputs, map.outputs, map.pairs, map.bias};
}
#endif

constexpr int TAPS = padded(9);

// Copies a cell into `padded(channels)` floats, padded with zeros.
inline void widen(const float *cell, float *wide, int channels) {
    int c = 0;
    for (; c + V <= channels; c += V) store(wide + c, load(cell + c));
    if (c < channels) {
        store(wide + c, vec{});
        for (; c < channels; c++) wide[c] = cell[c];
    }
}

// Copies `count` values, a multiple of V.
template <class T> inline void copy(T *to, const T *from, int count) {
    for (int c = 0; c < count; c += V) std::memcpy(to + c, from + c, sizeof(T) * V);
}

// Adds the head's increment to the output and hidden channels.
inline void add_increment(float *cell, const float *increment, int channels, int inputs) {
    int c = inputs;
    for (; c + V <= channels; c += V) store(cell + c, load(cell + c) + load(increment + c - inputs));
    for (; c < channels; c++) cell[c] += increment[c - inputs];
}

// The largest absolute change of a channel by `add_increment`.
inline float largest_change(const float *cell, const float *increment, int channels, int inputs) {
    vec maxima{};
    int c = inputs;
    for (; c + V <= channels; c += V) {
        vec change = load(cell + c) + load(increment + c - inputs) - load(cell + c);
        maxima = maximum(maxima, maximum(change, -change));
    }
    float largest = fold<V / 2, 1>(maxima, maximum)[0];
    for (; c < channels; c++) largest = std::max(largest, std::fabs(cell[c] + increment[c - inputs] - cell[c]));
    return largest;
}

template <class T> struct Nafca {
    const LncaRule &rule;
    Linear<T> embed = linear<T>(rule.maps[0]), taps = linear<T>(rule.maps[1]), project = linear<T>(rule.maps[2]),
              update = linear<T>(rule.maps[3]), update_project = linear<T>(rule.maps[4]), head = linear<T>(rule.maps[5]);
    int wide = padded(rule.channels), half_embed = embed.outputs / 2;

    // Numbers for each cell that the first pass keeps: for the second pass of the cell itself, and for its neighbours.
    int64_t gated_size() const { return embed.outputs; }
    static constexpr int shared_size = TAPS;
    int64_t shared_floats() const { return TAPS; }

    void first(const float *cells, const float *, T *gated, float *shared, int count) const {
        alignas(64) float x[BLOCK<T> * STRIDE];
        alignas(64) T normal[BLOCK<T> * STRIDE], local[BLOCK<T> * STRIDE];
        const float *g = rule.gate;
        int n = half_embed, members = filled<T>(count);
        for (int m = 0; m < members; m++)
            widen(cells + (m < count ? m : 0) * (int64_t)rule.channels, x + m * STRIDE, rule.channels);
        normalise(x, normal, members, rule.channels, rule.epsilon);
        apply_pairs(normal, members, embed, n, [&](int m, int i, auto a, auto b) {
            auto gate = [&](int row) { return load_as<decltype(a)>(g + row * n + i); };
            store(local + m * STRIDE + i, (a * gate(0) + gate(1)) * (b * gate(2) + gate(3)));
            store(local + m * STRIDE + n + i, (a * gate(4) + gate(5)) * (b * gate(6) + gate(7)));
        });
        for (int m = 0; m < count; m++) copy(gated + m * 2 * n, local + m * STRIDE, 2 * n);
        apply(local, members, taps, [&](int m, int column, auto value) { store(shared + m * TAPS + column, value); });
    }

    // `rows` are the shared values of the row above, this row and the row below; outside the lattice they are zero.
    // `which` lists the columns to update. `change`, if not null, receives the largest change of each cell.
    void second(float *cells, const T *gated, const float *const *rows, const int *which, int count,
                float *change) const {
        alignas(64) float y[BLOCK<T> * STRIDE], out[BLOCK<T> * STRIDE];
        alignas(64) T x[BLOCK<T> * STRIDE], normal[BLOCK<T> * STRIDE];
        float attention[BLOCK<T>];
        int n = embed.outputs, members = filled<T>(count);
        for (int m = 0; m < members; m++) {
            int column = which[m < count ? m : 0];
            float total = rule.attention_bias;
            for (int r = 0; r < 3; r++)
                for (int c = 0; c < 3; c++) total += rows[r][(column + c - 1) * TAPS + 3 * r + c];
            attention[m] = total;
            widen(cells + column * (int64_t)rule.channels, y + m * STRIDE, rule.channels);
            copy(x + m * STRIDE, gated + column * (int64_t)n, n);
        }
        const float *bias = rule.gate + 4 * n;
        apply(x, members, project, [&](int m, int column, auto value) {
            using Values = decltype(value);
            Values before = load_as<Values>(y + m * STRIDE + column);
            store(y + m * STRIDE + column, before + (value * attention[m] + load_as<Values>(bias + column)));
        });
        normalise(y, normal, members, rule.channels, rule.epsilon);
        int u = update.outputs / 2;
        apply_pairs(normal, members, update, u, [&](int m, int i, auto a, auto b) { store(x + m * STRIDE + i, a * b); });
        apply(x, members, update_project, [&](int m, int column, auto value) {
            store(y + m * STRIDE + column, load_as<decltype(value)>(y + m * STRIDE + column) + value);
        });
        normalise(y, normal, members, rule.channels, rule.epsilon);
        apply(normal, members, head, [&](int m, int column, auto value) { store(out + m * STRIDE + column, value); });
        for (int m = 0; m < count; m++) {
            float *cell = cells + which[m] * (int64_t)rule.channels;
            if (change) change[m] = largest_change(cell, out + m * STRIDE, rule.channels, rule.input_channels);
            add_increment(cell, out + m * STRIDE, rule.channels, rule.input_channels);
        }
    }
};

}  // namespace LNCA_ISA
