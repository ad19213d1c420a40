#include "support/video_program.h"

#include <fmt/format.h>

#include "marrow/base/error.h"
#include "marrow/detect/sources.h"
#include "support/program_files.h"

namespace marrow::cli {

void become_video_program(const std::vector<std::string>& words, const std::string& source) {
  const auto found = find_beside(kVideoProgram);
  if (!found)
    throw Error(
        ErrorKind::kUnsupported,
        fmt::format("{}: videos, streams and webcams are read by {}, which is neither beside this program "
                    "nor in the PATH; install the Debian package {} (from source: libavformat-dev, "
                    "libavcodec-dev, libswscale-dev and -DMARROW_VIDEO=ON)",
                    detect::without_password(source), kVideoProgram, kVideoProgram));
  become_program(*found, words);
}

}  // namespace marrow::cli
