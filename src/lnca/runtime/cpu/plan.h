// The structures that Python passes: folded weights, convolutions and lattices of cells. Plain C, the same for all instruction
// sets.
#pragma once
#include <cstdint>

// Version of the structures. Increase it here and in native.py when the meaning of a field changes without its size.
constexpr int64_t LAYOUT = 6;

extern "C" {

// The numbers are those of native.py.
enum LncaRuleKind : int32_t { LNCA_NAFCA, LNCA_VITCA };
// 3x3, 3x3 of stride 2, transposed 3x3 of stride 2, 1x1, and 3x3 by winograd.h.
enum LncaConvolutionKind : int32_t { LNCA_SAME, LNCA_HALVING, LNCA_DOUBLING, LNCA_POINTWISE, LNCA_WINOGRAD };
enum LncaActivation : int32_t { LNCA_SWISH, LNCA_SIGMOID, LNCA_IDENTITY, LNCA_RELU };

struct LncaMap {
    int32_t inputs, outputs;
    const float *weight, *bias;
    const uint32_t *pairs;  // the weight as pairs of bfloat16, in the layout of `Linear<half>`
};

struct LncaRule {
    LncaRuleKind kind;
    int32_t channels, input_channels;  // channels of a cell
    int32_t embed, heads;              // channels of a token without padding, attention heads (ViTCA)
    float epsilon;                     // epsilon of the layer normalisations
    float attention_bias;              // bias of equation (2) (NAFCA)
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
    // [taps][taps][inputs][outputs] for each panel of outputs, one after another (`panel` in convolve.h), for Winograd transformed;
    // [padded outputs].
    const float *weight, *bias;
    // Weights for a convolution of stride 1 in bfloat16 by tiles, else null: [outputs / 16][taps][taps * inputs / 32][16][16] pairs
    // of successive inputs, where the inputs of the taps of a row are concatenated.
    const uint32_t *tiles;
    const LncaBand *added;             // is added to the outputs, has their columns and at least their rows; or null
};

struct LncaLattice {
    float *cells;                      // [batch][rows][columns][channels]
    int64_t batch, rows, columns;
    const uint32_t *keys;              // key of the update mask, one for each step
    const float *position;             // [rows][columns][padded embed], or null
    int64_t first_row, first_column;   // position of the first cell in a larger lattice, for the mask
    double update_rate;
    int32_t steps, threads, bfloat16;
    // If settled cells are skipped, else null: [batch][rows][columns], 1 for the cells that the first step updates; a buffer for
    // the same of the next step; the number of updates of each cell; and the largest change that counts as none.
    uint8_t *unsettled, *spare;
    int32_t *taken;
    float tolerance;
};

}
