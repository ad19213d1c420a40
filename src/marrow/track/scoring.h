// The three scores of a sequence, one file each.
#pragma once

#include "marrow/track/overlaps.h"
#include "marrow/track/track_scores.h"

namespace marrow::track {

// Added to thresholds of IoU, which floating point may miss by as much.
inline constexpr double kOverlapSlack = 2.220446049250313e-16;

ClearSums clear_sums(const Sequence& sequence);
IdentitySums identity_sums(const Sequence& sequence);
HotaSums hota_sums(const Sequence& sequence);

}  // namespace marrow::track
