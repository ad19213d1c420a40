// Which call fails and how, from the environment of the process that is tried:
//
//   MARROW_FAULT=CALL:N:WHAT[:PATH]
//
// CALL   open, read, write, sync, rename, close, map, stat, list, make, remove, any (of these); memory; clock
// N      the N-th of them, from 1; N+ from the N-th on; 0 none: they are only noted
// WHAT   ENOSPC, EIO and so on; short, which of a mapping cuts the file; a signal that comes then: KILL,
//        TERM, INT, HUP, PIPE; by how a clock steps, a day: back, forth, both
// PATH   of files: a part of the path; of memory: the fewest bytes of an allocation that counts
//
// MARROW_FAULT_LOG names the file where each call that counts, up to N, leaves the line "CALL PATH". The plan
// is for one process, not for those that it starts; what it turns into by exec() counts, and logs, anew.
#pragma once

#include <cstddef>

namespace marrow::faults {

enum class Strike { kNone, kFail, kShort };

// Says what to do with this call. kFail: errno is set. A call that is to kill does not come back.
Strike strike(const char* call, const char* path);
Strike strike(const char* call, int descriptor);
// True where an allocation of so many bytes is to fail.
bool strikes_memory(size_t bytes);
// What the clock of the wall is off by at this reading.
long clock_error_seconds();

}  // namespace marrow::faults
