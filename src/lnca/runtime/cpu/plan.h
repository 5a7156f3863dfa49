// What Python hands over: a rule's folded weights and a lattice of cells. Plain C, the same for every instruction set.
#pragma once
#include <cstdint>

// Goes up, here and in native.py, where the meaning of what follows changes and its size does not.
constexpr int64_t LAYOUT = 5;

extern "C" {

// As native.py numbers them.
enum LncaRuleKind : int32_t { LNCA_NAFCA, LNCA_VITCA };
// 3x3, 3x3 of stride 2, transposed 3x3 of stride 2, 1x1, and 3x3 by winograd.h.
enum LncaConvolutionKind : int32_t { LNCA_SAME, LNCA_HALVING, LNCA_DOUBLING, LNCA_POINTWISE, LNCA_WINOGRAD };
enum LncaActivation : int32_t { LNCA_SWISH, LNCA_SIGMOID, LNCA_IDENTITY, LNCA_RELU };

struct LncaMap {
    int32_t inputs, outputs;
    const float *weight, *bias;
    const uint32_t *pairs;  // the weight as pairs of bfloat16, as `Linear<half>` wants them
};

struct LncaRule {
    LncaRuleKind kind;
    int32_t channels, input_channels;  // of a cell
    int32_t embed, heads;              // true width of the tokens, heads (ViTCA)
    float epsilon;                     // of the layer normalisations
    float attention_bias;              // of equation (2) (NAFCA)
    LncaMap maps[6];
    const float *gate;                 // factors and shifts of the first gate, then the projection's bias (NAFCA)
};

// A band of rows of a picture with channels last: rows [first, first + rows) of `height`.
struct LncaBand {
    float *values;                     // [batch][rows][columns][channels]
    int64_t first, rows, height, columns;
};

struct LncaConvolution {
    int32_t inputs, outputs;           // channels
    LncaConvolutionKind kind;
    LncaActivation activation;
    const float *weight, *bias;        // [taps][taps][inputs][padded outputs], [padded outputs]; for Winograd transformed
    // For a plain one in bfloat16 by tiles, else null: [outputs / 16][taps][taps * inputs / 32][16][16] pairs of successive inputs
    // of the taps of a row.
    const uint32_t *tiles;
    const LncaBand *added;             // what is added to the outputs, with their columns and at least their rows, or null
};

struct LncaLattice {
    float *cells;                      // [batch][rows][columns][channels]
    int64_t batch, rows, columns;
    const uint32_t *keys;              // one for each step, of the update mask
    const float *position;             // [rows][columns][padded embed], or null
    int64_t first_row, first_column;   // of the lattice inside a larger one, for the mask
    double update_rate;
    int32_t steps, threads, bfloat16;
    // Where settled cells are left out, else null: [batch][rows][columns], 1 for the cells that take part in the first step,
    // room for those of the next one, how many steps each took part in, and the largest change that counts as none.
    uint8_t *unsettled, *spare;
    int32_t *taken;
    float tolerance;
};

}
