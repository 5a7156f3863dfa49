// One piece of work on several threads.
#pragma once
#include <functional>
#include <system_error>
#include <thread>
#include <vector>
#if __has_include(<dlfcn.h>)
#include <dlfcn.h>
#endif

namespace LNCA_ISA {

// Calls `work` on as many as `threads` threads at once; there may be fewer, so that it has to take its parts from a common
// counter. Where the process has an OpenMP runtime, as it has with PyTorch in it, its threads are taken: idle ones spin for
// some milliseconds, and threads of our own would have to share the processors with them.
template <class Work> void in_parallel(int threads, Work work) {
    if (threads <= 1) return work();
#if __has_include(<dlfcn.h>)
    using Parallel = void (*)(void (*)(void *), void *, unsigned, unsigned);
    static const auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    if (parallel) return parallel([](void *w) { (*static_cast<Work *>(w))(); }, &work, threads, 0);
#endif
    std::vector<std::thread> others;
    others.reserve(threads);
    for (int i = 1; i < threads; i++) try {
            others.emplace_back(std::ref(work));
        } catch (const std::system_error &) {
            break;  // No more threads to be had.
        }
    work();
    for (auto &thread : others) thread.join();
}

}  // namespace LNCA_ISA
