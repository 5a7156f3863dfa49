// The library's functions: which instruction set this processor has, its vector size, running a rule, a convolution, and blurring.
#include <exception>
#include "plan.h"

#define DECLARE(isa)                                       \
    namespace isa {                                        \
    void run(const LncaRule &, const LncaLattice &);       \
    void convolve(const LncaConvolution &, const LncaBand &, const LncaBand &, int64_t, int); \
    void blur(const LncaBlur &, float *);                  \
    void blur_gradients(const LncaBlur &, const float *, float *, float *); \
    double multiply_add(int64_t, int);                     \
    int vector_size();                                     \
    int largest();                                         \
    int most_floats();                                     \
    }

DECLARE(portable)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
DECLARE(avx512bf16)
#endif

extern "C" {

// 0 portable, 1 AVX2 and FMA, 2 AVX-512, 3 AVX-512 with bfloat16: the highest that the processor has.
int lnca_best() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return __builtin_cpu_supports("avx512bf16") ? 3 : 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

int lnca_vector_size(int level) {
#if defined(__x86_64__)
    if (level == 3) return avx512bf16::vector_size();
    if (level == 2) return avx512::vector_size();
    if (level == 1) return avx2::vector_size();
#endif
    return portable::vector_size();
}

double lnca_multiply_add(int level, int64_t rounds, int bfloat16) {
#if defined(__x86_64__)
    if (level == 3) return avx512bf16::multiply_add(rounds, bfloat16);
    if (level == 2) return avx512::multiply_add(rounds, 0);
    if (level == 1) return avx2::multiply_add(rounds, 0);
#endif
    return portable::multiply_add(rounds, 0);
}

int lnca_largest() { return portable::largest(); }
int lnca_most_floats() { return portable::most_floats(); }

// All of them: 0, or 1 when there is no memory.
#if defined(__x86_64__)
#define WITH(level, call)                  \
    switch (level) {                       \
    case 3: avx512bf16::call; break;       \
    case 2: avx512::call; break;           \
    case 1: avx2::call; break;             \
    default: portable::call;               \
    }
#else
#define WITH(level, call) portable::call;
#endif

int lnca_run(int level, const LncaRule *rule, const LncaLattice *lattice) {
    try {
        WITH(level, run(*rule, *lattice))
        return 0;
    } catch (const std::exception &) {
        return 1;
    }
}

int lnca_convolve(int level, const LncaConvolution *layer, const LncaBand *input, const LncaBand *output, int64_t batch,
                  int threads) {
    try {
        WITH(level, convolve(*layer, *input, *output, batch, threads))
        return 0;
    } catch (const std::exception &) {
        return 1;
    }
}

int lnca_blur(int level, const LncaBlur *blurring, float *result) {
    try {
        WITH(level, blur(*blurring, result))
        return 0;
    } catch (const std::exception &) {
        return 1;
    }
}

int lnca_blur_gradients(int level, const LncaBlur *blurring, const float *gradient, float *padded_gradient,
                        float *kernel_gradient) {
    try {
        WITH(level, blur_gradients(*blurring, gradient, padded_gradient, kernel_gradient))
        return 0;
    } catch (const std::exception &) {
        return 1;
    }
}

}
