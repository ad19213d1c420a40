// Include before hwy/foreach_target.h: which of Highway's targets our kernels are compiled for, and how a
// table is taken for a level that the caller names (Highway's own dispatch is global to the process; an
// engine chooses for itself).
#pragma once

// One target a level. The vectors of SVE have no size known to the compiler, so register tiles cannot be
// written for them; NEON is used there.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

// The function pointer of an HWY_EXPORTed function for one target bit.
#define MARROW_KERNEL_FOR(function, target)                 \
  ([](int64_t bit) {                                        \
    hwy::ChosenTarget chosen;                               \
    chosen.Update(bit);                                     \
    return HWY_DISPATCH_TABLE(function)[chosen.GetIndex()]; \
  }(target))
