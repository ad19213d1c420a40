#include "support/video_program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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
  std::string program = found->string();
  std::vector<std::string> all = words;
  std::vector<char*> argv = {program.data()};
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  throw Error(ErrorKind::kFile, fmt::format("{}: cannot be started: {}", program, std::strerror(errno)));
}

}  // namespace marrow::cli
