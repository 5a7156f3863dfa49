// Parallel calls of a function.
#pragma once

namespace lnca {

// Calls work(data) here and at the same time on up to `threads` - 1 threads of the library, and returns when all calls have
// returned. Fewer threads may join, so `work` must take its parts from a common counter until none is left. Idle threads sleep:
// spinning ones would take the CPU from other programs, and could then be descheduled while the other threads wait for them.
void in_parallel(int threads, void (*work)(void *) noexcept, void *data);

template <class Work> void in_parallel(int threads, Work work) {
    in_parallel(threads, [](void *w) noexcept { (*static_cast<Work *>(w))(); }, &work);
}

}  // namespace lnca
