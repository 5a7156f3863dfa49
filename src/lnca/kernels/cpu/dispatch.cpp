// The library's three functions: which instruction sets this processor has, their vector size, and running a rule.
#include <exception>
#include "plan.h"

#define DECLARE(isa)                                       \
    namespace isa {                                        \
    void run(const LncaRule &, const LncaLattice &);       \
    int vector_size();                                     \
    int largest();                                         \
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

int lnca_largest() { return portable::largest(); }

// 0, or 1 when there is no memory or no thread to be had.
int lnca_run(int level, const LncaRule *rule, const LncaLattice *lattice) {
    try {
#if defined(__x86_64__)
        if (level == 3) avx512bf16::run(*rule, *lattice);
        else if (level == 2) avx512::run(*rule, *lattice);
        else if (level == 1) avx2::run(*rule, *lattice);
        else
#endif
            portable::run(*rule, *lattice);
        return 0;
    } catch (const std::exception &) {
        return 1;
    }
}

}
