// The program that reads videos.
#pragma once

#include <string>
#include <vector>

namespace marrow::cli {

// This process becomes marrow-video, which has the commands of this one that take videos and is given the
// same words. Throws Error{kUnsupported} where it is not installed, which says what to install.
[[noreturn]] void become_video_program(const std::vector<std::string>& words, const std::string& source);

}  // namespace marrow::cli
