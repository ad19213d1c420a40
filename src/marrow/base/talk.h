// What a long run says while it works. Any thread.
#pragma once

#include <string_view>

namespace marrow {

// A line to stderr. One that cannot be written, to a log on a full disk for instance, is lost; work goes on.
void talk(std::string_view line);

// A line of the debug log, for those who want to know why something was not done: talk() when the environment
// variable MARROW_DEBUG is set and not empty, otherwise nothing.
void debug(std::string_view line);

}  // namespace marrow
