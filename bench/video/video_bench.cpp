// A drawn video, and how fast it is decoded alone: bench/video/compare.py puts it beside the network and
// `marrow predict`.
//
//   video_bench write street.mp4 600     720p, H.264, 30 frames a second
//   video_bench decode street.mp4        frames a second, with as many decoding threads as prediction takes,
//   and
//                                        the processor's milliseconds for each
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <string_view>

#include "marrow/base/stopwatch.h"
#include "marrow/image/scene.h"
#include "marrow/video/frame_reader.h"
#include "marrow/video/video_writer.h"

namespace marrow {
namespace {

constexpr Size kSize = {1280, 720};
constexpr int kFrames = 600;

// A view that wanders over a larger scene, as from a camera that is moved.
void write(const char* path, int frames) {
  const image::Image scene = image::draw_scene(2 * kSize.width, 2 * kSize.height, 5);
  video::VideoWriter writer(path, {.size = kSize});
  for (int i = 0; i < frames; ++i) {
    const int x = 3 * i % (2 * kSize.width), y = 2 * i % (2 * kSize.height);
    const auto turn = [](int at, int most) { return at < most ? at : 2 * most - 1 - at; };
    writer.write(image::copy_image(
        scene.region(turn(x, kSize.width), turn(y, kSize.height), kSize.width, kSize.height)));
  }
  writer.finish();
}

void decode(const char* path) {
  const auto reader = video::open_video_file(path, {});
  const Stopwatch clock;
  const std::clock_t worked = std::clock();
  int frames = 0;
  while (reader->next()) ++frames;
  fmt::print("{:.2f} {:.3f}\n", frames / clock.seconds(),
             1e3 * static_cast<double>(std::clock() - worked) / CLOCKS_PER_SEC / frames);
}

}  // namespace
}  // namespace marrow

int main(int argc, char** argv) {
  const std::string_view what = argc > 2 ? argv[1] : "";
  if (what == "write")
    marrow::write(argv[2], argc > 3 ? std::atoi(argv[3]) : marrow::kFrames);
  else if (what == "decode")
    marrow::decode(argv[2]);
  else
    return fmt::print(stderr, "wanted: write FILE [FRAMES], or decode FILE\n"), 2;
  return 0;
}
