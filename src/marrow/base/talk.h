// What a long run says while it works. Any thread.
#pragma once

#include <string_view>

namespace marrow {

// A line to stderr. One that cannot be written, to a log on a full disk for instance, is lost; work goes on.
void talk(std::string_view line);

}  // namespace marrow
