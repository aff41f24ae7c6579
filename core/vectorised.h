#pragma once
// LPNSR_VECTORISED before a function compiles it twice, for every x86-64 processor and for those with AVX2 and FMA; the program takes the
// one that fits when it starts ("arch=haswell" would ask for that very model). Small functions that it calls must be LPNSR_INLINE to
// profit.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define LPNSR_VECTORISED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define LPNSR_VECTORISED
#endif
#define LPNSR_INLINE inline __attribute__((always_inline))
