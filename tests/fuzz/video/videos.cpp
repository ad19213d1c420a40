// Videos in their containers, by FFmpeg's libraries: what is ours around them is searched, they themselves
// are only watched.
#include "fuzz/readers.h"
#include "marrow/image/scene.h"
#include "marrow/video/frame_reader.h"
#include "marrow/video/video_writer.h"

namespace marrow::fuzz {
namespace {

constexpr size_t kLongestVideo = 1 << 16;
constexpr int kMostFrames = 8;

std::string video_of(const char* name, const char* codec) {
  return written(
      [&](const std::string& path) {
        video::VideoWriter writer(path, {.size = {32, 32}, .frame_rate = 10, .codec = codec});
        for (uint64_t i = 0; i < 3; ++i) writer.write(image::draw_scene(32, 32, i));
        writer.finish();
      },
      name);
}

}  // namespace

void read_video(Bytes bytes) {
  if (bytes.size() > kLongestVideo) return;
  const InputFile file(bytes);
  const auto reader = video::open_video_file(file.path(), {.stride = 2, .threads = 1});
  reader->frame_rate();
  reader->duration();
  for (int i = 0; i < kMostFrames && reader->next(); ++i) {
  }
  reader->broken_packets();
}

Seeds video_seeds() {
  return {video_of("a.mp4", "mpeg4"), video_of("a.mkv", "mpeg4"), video_of("a.avi", "mjpeg"),
          video_of("a.mp4", "")};
}

}  // namespace marrow::fuzz
