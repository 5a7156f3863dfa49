// One piece of work on several threads.
#pragma once

namespace lnca {

// Calls work(data) here and at the same time on up to `threads` - 1 threads of the library's own, and returns when all of these
// calls have. Fewer threads take part where the others are busy or come late, so that the work has to take its parts from a
// common counter, until none is left. Threads that have nothing to do sleep: one that spins takes the processor from other
// programs, and is then made to wait for them in the midst of work that the rest of the threads wait for.
void in_parallel(int threads, void (*work)(void *) noexcept, void *data);

template <class Work> void in_parallel(int threads, Work work) {
    in_parallel(threads, [](void *w) noexcept { (*static_cast<Work *>(w))(); }, &work);
}

}  // namespace lnca
