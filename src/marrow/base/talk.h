// What a long run says while it works. Any thread.
#pragma once

#include <string_view>

namespace marrow {

// A line to stderr. One that cannot be written, to a log on a full disk for instance, is lost; work goes on.
void talk(std::string_view line);

// The same for what ends a run, or would: also where set_talking(false) has silenced the rest. Of several
// workers one talks; all complain.
void complain(std::string_view line);
void set_talking(bool talks);

// A line of the debug log, for those who want to know why something was not done: talk() when the environment
// variable MARROW_DEBUG is set and not empty, otherwise nothing.
void debug(std::string_view line);

}  // namespace marrow
