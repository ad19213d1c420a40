#include "marrow/video/libav.h"

#include <array>
#include <cstdlib>

namespace marrow::video {

std::string av_error_text(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text = {};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

void quieten_libav() {
  const char* debug = std::getenv("MARROW_DEBUG");
  av_log_set_level(debug != nullptr && *debug != '\0' ? AV_LOG_WARNING : AV_LOG_QUIET);
}

}  // namespace marrow::video
