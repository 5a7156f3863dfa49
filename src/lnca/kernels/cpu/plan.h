// What Python hands over: a rule's folded weights and a lattice of cells. Plain C, the same for every instruction set.
#pragma once
#include <cstdint>

extern "C" {

struct LncaMap {
    int32_t inputs, outputs;
    const float *weight, *bias;
    const uint32_t *pairs;  // the weight as pairs of bfloat16
};

struct LncaRule {
    int32_t kind;                      // 0 NAFCA, 1 ViTCA
    int32_t channels, input_channels;  // of a cell
    int32_t embed, heads;              // true width of the tokens, heads (ViTCA)
    float epsilon;                     // of the layer normalisations
    float attention_bias;              // of equation (2) (NAFCA)
    LncaMap maps[6];
    const float *gate;                 // factors and shifts of the first gate, then the projection's bias (NAFCA)
};

struct LncaLattice {
    float *cells, *spare;              // [batch][rows][columns][channels]; spare is as large, or null
    int64_t batch, rows, columns;
    const uint32_t *keys;              // one for each step, of the update mask
    const float *position;             // [rows][columns][padded embed], or null
    int64_t first_row, first_column;   // of the lattice inside a larger one, for the mask
    double update_rate;
    int32_t steps, threads, bfloat16;
};

}
