// A step of ViTCA (paper 3.1.2) in two passes over a row of cells.
//
// First pass: embedding, normalisation, query, key and value. Second pass: attention over the nine neighbours, projection,
// MLP and head. The channels of query, key and value are interleaved, channel c of head h at c * heads + h, so that lane i of
// every vector belongs to head i mod heads. The score of a head is a sum over vectors, and then over the lanes of the head.
#pragma once
#include "nafca.h"

namespace LNCA_ISA {

template <class T> struct Vitca {
    const LncaRule &rule;
    Linear<T> embed = linear<T>(rule.maps[0]), qkv = linear<T>(rule.maps[1]), project = linear<T>(rule.maps[2]),
              mlp_in = linear<T>(rule.maps[3]), mlp_out = linear<T>(rule.maps[4]), head = linear<T>(rule.maps[5]);
    int wide = padded(rule.channels), tokens = embed.outputs;

    // The first pass keeps the values that the neighbours need: token, query, key and value of each cell.
    int64_t gated_size() const { return 0; }
    int64_t shared_floats() const { return 4 * tokens; }

    static void convert(const float *x, T *result, int count) {
        for (int c = 0; c < count; c += V) store(result + c, load(x + c));
    }

    void first(const float *cells, const float *position, T *, float *shared, int count) const {
        alignas(64) float x[BLOCK<T> * STRIDE];
        alignas(64) T narrow[BLOCK<T> * STRIDE];
        int64_t size = shared_floats();
        int members = filled<T>(count);
        for (int m = 0; m < members; m++) {
            widen(cells + (m < count ? m : 0) * (int64_t)rule.channels, x + m * STRIDE, rule.channels);
            convert(x + m * STRIDE, narrow + m * STRIDE, wide);
        }
        apply(narrow, members, embed, [&](int m, int column, auto value) {
            if (position) value = value + load_as<decltype(value)>(position + (m < count ? m : 0) * tokens + column);
            store(x + m * STRIDE + column, value);
            store(shared + m * size + column, value);
        });
        normalise(x, narrow, members, rule.embed, rule.epsilon);
        apply(narrow, members, qkv,
              [&](int m, int column, auto value) { store(shared + m * size + tokens + column, value); });
    }

    // Softmax over the nine neighbours for all heads at once; outside the lattice key and value are zero. A vector holds the
    // scores of TOGETHER = V / heads neighbours, those of each neighbour contiguous.
    template <int TOGETHER> void attend(const float *const *rows, int column, float *mixed) const {
        constexpr int HEADS = V / TOGETHER, GROUPS = (9 + TOGETHER - 1) / TOGETHER;
        vec scores[GROUPS * TOGETHER], packed[GROUPS];
        const float *keys[9];
        const float *query = rows[1] + column * shared_floats() + tokens;
#pragma GCC unroll 9
        for (int i = 0; i < 9; i++) {
            keys[i] = rows[i / 3] + (column + i % 3 - 1) * shared_floats() + 2 * tokens;
            scores[i] = vec{};
        }
        for (int k = 0; k < tokens; k += V) {
            vec q = load(query + k);
#pragma GCC unroll 9
            for (int i = 0; i < 9; i++) scores[i] += q * load(keys[i] + k);
        }
        // Padding to whole vectors: the exponential of these scores is 0 compared to that of the largest one.
#pragma GCC unroll 16
        for (int i = 9; i < GROUPS * TOGETHER; i++) scores[i] = all(-1e30f);
        vec largest = all(-1e30f), whole{};
#pragma GCC unroll 9
        for (int g = 0; g < GROUPS; g++) {
            halve<TOGETHER, V>(scores + g * TOGETHER);
            largest = maximum(largest, packed[g] = scores[g * TOGETHER]);
        }
        largest = fold<V / 2, HEADS>(largest, maximum);
#pragma GCC unroll 9
        for (int g = 0; g < GROUPS; g++) whole += packed[g] = exponential(packed[g] - largest);
        vec inverse = 1.0f / fold<V / 2, HEADS>(whole, add), weights[9];
        unrolled<9>([&]<int I>() { weights[I] = spread<HEADS, I % TOGETHER>(packed[I / TOGETHER] * inverse); });
        for (int k = 0; k < tokens; k += V) {
            vec total{};
#pragma GCC unroll 9
            for (int i = 0; i < 9; i++) total += weights[i] * load(keys[i] + tokens + k);
            store(mixed + k, total);
        }
    }

    void attend(const float *const *rows, int column, float *mixed) const {
        switch (V / rule.heads) {
        case 1: return attend<1>(rows, column, mixed);
        case 2: return attend<2>(rows, column, mixed);
        case 4: return attend<4>(rows, column, mixed);
        case 8: if constexpr (V >= 8) return attend<8>(rows, column, mixed);
        default: if constexpr (V >= 16) return attend<16>(rows, column, mixed);
        }
    }

    void second(float *cells, const T *, const float *const *rows, const int *which, int count,
                float *change) const {
        alignas(64) float x[BLOCK<T> * STRIDE], out[BLOCK<T> * STRIDE];
        alignas(64) T narrow[BLOCK<T> * STRIDE];
        int members = filled<T>(count);
        for (int m = 0; m < members; m++) {
            int column = which[m < count ? m : 0];
            attend(rows, column, out);
            convert(out, narrow + m * STRIDE, tokens);
            copy(x + m * STRIDE, rows[1] + column * shared_floats(), tokens);
        }
        auto add = [&](int m, int column, auto value) {
            store(x + m * STRIDE + column, load_as<decltype(value)>(x + m * STRIDE + column) + value);
        };
        apply(narrow, members, project, add);
        normalise(x, narrow, members, rule.embed, rule.epsilon);
        alignas(64) T middle[BLOCK<T> * STRIDE];
        apply(narrow, members, mlp_in,
              [&](int m, int column, auto value) { store(middle + m * STRIDE + column, gelu(value)); });
        apply(middle, members, mlp_out, add);
        normalise(x, narrow, members, rule.embed, rule.epsilon);
        apply(narrow, members, head,
              [&](int m, int column, auto value) { store(out + m * STRIDE + column, value); });
        for (int m = 0; m < count; m++) {
            float *cell = cells + which[m] * (int64_t)rule.channels;
            if (change) change[m] = largest_change(cell, out + m * STRIDE, rule.channels, rule.input_channels);
            add_increment(cell, out + m * STRIDE, rule.channels, rule.input_channels);
        }
    }
};

}  // namespace LNCA_ISA
