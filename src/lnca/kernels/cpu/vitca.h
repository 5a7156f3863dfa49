// A step of ViTCA (paper 3.1.2) in two passes over a row of cells.
//
// First pass: embedding, normalisation, query, key and value. Second pass: attention over the nine neighbours, projection,
// MLP and head. The channels of query, key and value are interleaved, channel c of head h at c * heads + h, so that lane i of
// every vector belongs to head i mod heads: a sum over vectors and a few rotations give each lane its head's score.
#pragma once
#include "nafca.h"

namespace LNCA_ISA {

template <class T> struct Vitca {
    const LncaRule &rule;
    Linear<T> embed = linear<T>(rule.maps[0]), qkv = linear<T>(rule.maps[1]), project = linear<T>(rule.maps[2]),
              mlp_in = linear<T>(rule.maps[3]), mlp_out = linear<T>(rule.maps[4]), head = linear<T>(rule.maps[5]);
    int wide = padded(rule.channels), tokens = embed.outputs;

    // A row keeps nothing but what neighbours may want: token, query, key and value of every cell.
    int64_t gated_size() const { return 0; }
    int64_t shared_floats() const { return 4 * tokens; }

    static void convert(const float *x, T *result, int count) {
        for (int c = 0; c < count; c += V) store(result + c, load(x + c));
    }

    void first(const float *cells, const float *position, T *, float *shared, int count) const {
        alignas(64) float x[CELLS * STRIDE];
        alignas(64) T narrow[CELLS * STRIDE];
        int64_t size = shared_floats();
        for (int m = 0; m < CELLS; m++) {
            widen(cells + (m < count ? m : 0) * (int64_t)rule.channels, x + m * STRIDE, rule.channels);
            convert(x + m * STRIDE, narrow + m * STRIDE, wide);
        }
        apply(narrow, embed, [&](int m, int column, vec value) {
            if (position) value += load(position + (m < count ? m : 0) * tokens + column);
            store(x + m * STRIDE + column, value);
            store(shared + m * size + column, value);
        });
        normalise(x, narrow, rule.embed, rule.epsilon);
        apply(narrow, qkv,
              [&](int m, int column, vec value) { store(shared + m * size + tokens + column, value); });
    }

    // Softmax over the nine neighbours for all heads at once; outside the lattice key and value are zero.
    void attend(const float *const *rows, int column, float *mixed) const {
        vec scores[9];
        const float *values[9];
        const float *query = rows[1] + column * shared_floats() + tokens;
        for (int r = 0; r < 3; r++)
            for (int c = 0; c < 3; c++) {
                int i = 3 * r + c;
                const float *key = rows[r] + (column + c - 1) * shared_floats() + 2 * tokens;
                vec total{};
                for (int k = 0; k < tokens; k += V) total += load(query + k) * load(key + k);
#pragma GCC unroll 4
                for (int by = V / 2; by; by /= 2)
                    if (by >= rule.heads) total += rotate(total, by);
                scores[i] = total;
                values[i] = key + tokens;
            }
        vec largest = scores[0];
        for (int i = 1; i < 9; i++) largest = maximum(largest, scores[i]);
        vec whole{};
        for (int i = 0; i < 9; i++) whole += scores[i] = exponential(scores[i] - largest);
        vec inverse = 1.0f / whole;
        for (int k = 0; k < tokens; k += V) {
            vec total{};
            for (int i = 0; i < 9; i++) total += scores[i] * load(values[i] + k);
            store(mixed + k, total * inverse);
        }
    }

    void second(float *cells, const T *, const float *const *rows, const int *which, int count,
                float *change) const {
        alignas(64) float x[CELLS * STRIDE], out[CELLS * STRIDE];
        alignas(64) T narrow[CELLS * STRIDE];
        for (int m = 0; m < CELLS; m++) {
            int column = which[m < count ? m : 0];
            attend(rows, column, out);
            convert(out, narrow + m * STRIDE, tokens);
            std::memcpy(x + m * STRIDE, rows[1] + column * shared_floats(), sizeof(float) * tokens);
        }
        auto add = [&](int m, int column, vec value) {
            store(x + m * STRIDE + column, load(x + m * STRIDE + column) + value);
        };
        apply(narrow, project, add);
        normalise(x, narrow, rule.embed, rule.epsilon);
        alignas(64) T middle[CELLS * STRIDE];
        apply(narrow, mlp_in,
              [&](int m, int column, vec value) { store(middle + m * STRIDE + column, gelu(value)); });
        apply(middle, mlp_out, add);
        normalise(x, narrow, rule.embed, rule.epsilon);
        apply(narrow, head,
              [&](int m, int column, vec value) { store(out + m * STRIDE + column, value); });
        for (int m = 0; m < count; m++) {
            float *cell = cells + which[m] * (int64_t)rule.channels;
            if (change) change[m] = largest_change(cell, out + m * STRIDE, rule.channels, rule.input_channels);
            add_increment(cell, out + m * STRIDE, rule.channels, rule.input_channels);
        }
    }
};

}  // namespace LNCA_ISA
