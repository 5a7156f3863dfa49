// Autocorrelations of a picture's gradients around every cell (`lnca.nn.echoes`). The lanes of a vector are V lags, so that every
// cell is worked on in the same way, wherever it lies.
#pragma once
#include "blur.h"
#include "plan.h"
#include "simd.h"

namespace LNCA_ISA {

constexpr int APART = 2;  // pixels between those of a cell that are looked at

// A gradient of one picture: `pitch` floats from row to row, and as much around it as lags reach.
struct Gradient {
    const float *values;
    int64_t rows, columns, pitch;  // rows and columns of cells

    // Means in each cell of the gradient times itself `lags` floats further on.
    void correlate(const int32_t (&lags)[V], vec *result) const {
        for (int64_t row = 0; row < rows; row++)
            for (int64_t column = 0; column < columns; column++) {
                const float *cell = values + CELL * (row * pitch + column);
                vec lines[CELL / APART];
                for (int r = 0; r < CELL / APART; r++) {
                    const float *left = cell + r * APART * pitch, *right = left + APART;
                    vec before, after;
#pragma GCC unroll 16
                    for (int i = 0; i < V; i++) before[i] = left[lags[i]], after[i] = right[lags[i]];
                    lines[r] = all(*left) * before + all(*right) * after;
                }
                *result++ = (lines[0] + lines[1]) * (1.0f / (CELL / APART * CELL / APART));
            }
    }

    // The binomial filter with holes down and to the right, of cells; `x` is changed, `spare` is room for as much.
    void smooth(vec *x, vec *spare, int64_t hole) const {
        for (int64_t row = 0; row < rows; row++) {
            const vec *before = x + std::max<int64_t>(row - hole, 0) * columns, *after = x + std::min(row + hole, rows - 1) * columns;
            for (int64_t i = 0; i < columns; i++)
                spare[row * columns + i] = (before[i] + after[i]) * 0.25f + x[row * columns + i] * 0.5f;
        }
        for (int64_t row = 0; row < rows; row++) {
            const vec *line = spare + row * columns;
            for (int64_t i = 0; i < columns; i++)
                x[row * columns + i] =
                    (line[std::max<int64_t>(i - hole, 0)] + line[std::min(i + hole, columns - 1)]) * 0.25f + line[i] * 0.5f;
        }
    }

    void around(const int32_t (&lags)[V], int scales, vec *result, vec *spare) const {
        correlate(lags, result);
        for (int scale = 0; scale < scales - 1; scale++) smooth(result, spare, int64_t(1) << scale);
    }
};

// Each cell's own strength, the mean square of a gradient, and what stands for it in the result.
inline void hear_strength(const LncaEchoes &e, const Gradient &gradient, vec *room, vec *spare, float *strength, float *result) {
    const int32_t none[V] = {};
    gradient.around(none, e.scales, room, spare);
    room += e.first * e.columns;
    for (int64_t cell = 0; cell < e.kept * e.columns; cell++) {
        strength[cell] = room[cell][0] + e.little;
        result[cell * e.channels + e.count] = std::log(strength[cell]) / 2 + 4;
    }
}

// Lags [first, first + V), as far as there are.
inline void hear_lags(const LncaEchoes &e, const Gradient &gradient, int first, vec *room, vec *spare, const float *strength,
                      float *result) {
    int32_t lags[V] = {};
    int count = std::min(V, e.count - first);
    std::memcpy(lags, e.lags + first, sizeof(int32_t) * count);
    gradient.around(lags, e.scales, room, spare);
    room += e.first * e.columns;
    for (int64_t cell = 0; cell < e.kept * e.columns; cell++) {
        alignas(64) float value[V];
        store(value, room[cell] * e.gain / strength[cell]);
        std::memcpy(result + cell * e.channels + first, value, sizeof(float) * count);
    }
}

}  // namespace LNCA_ISA
