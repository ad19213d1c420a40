// A video that claims more than it has, read by the program.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "apps/program.h"
#include "marrow/image/scene.h"
#include "marrow/video/video_writer.h"

namespace marrow::apps {
namespace {

constexpr int64_t kMostBytes = 300'000'000;
constexpr double kMostSeconds = 20;

// Where an AVI counts its frames: in its head, and in that of its stream.
void claim_frames(std::string& avi, uint32_t frames) {
  for (const auto& [chunk, place] : {std::pair("avih", 16), std::pair("strh", 32)}) {
    const size_t at = avi.find(chunk);
    ASSERT_NE(at, std::string::npos);
    for (int i = 0; i < 4; ++i)
      avi[at + 8 + static_cast<size_t>(place + i)] = static_cast<char>(frames >> (8 * i));
  }
}

TEST(Bounds, OfAVideoHold) {
  const testing::TemporaryFolder folder;
  testing::write_detector(folder / "net.safetensors");
  video::VideoWriter writer(folder / "a.avi", {.size = {96, 64}});
  for (int i = 0; i < 5; ++i) writer.write(image::draw_scene(96, 64, 3));
  writer.finish();
  std::string avi = testing::read_text(folder / "a.avi");
  claim_frames(avi, 1'000'000'000);
  testing::write_text(folder / "a.avi", avi);
  const auto result = testing::run_program({"predict", "net.safetensors", "--source", "a.avi", "--imgsz",
                                            "64", "--threads", "1", "--no-autotune", "--project", "runs"},
                                           {.folder = folder.path(), .seconds = 120});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "per frame of 5 frames");
  EXPECT_LT(result.peak_bytes, kMostBytes);
  EXPECT_LT(result.processor_seconds, kMostSeconds);
  RecordProperty("AVI of 5 frames that claims 10^9",
                 fmt::format("{} {} {:.2f} read", avi.size(), result.peak_bytes, result.processor_seconds));
}

}  // namespace
}  // namespace marrow::apps
