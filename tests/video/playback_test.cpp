#include "marrow/video/playback.h"

#include <gtest/gtest.h>

#include <array>
#include <mutex>

#include "marrow/base/error.h"
#include "marrow/video/yuyv.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::video {
namespace {

// So many frames, then an end or an error.
class MadeFrames : public FrameReader {
 public:
  MadeFrames(int frames, bool breaks, double pause = 0) : frames_(frames), breaks_(breaks), pause_(pause) {}
  std::optional<VideoFrame> next() override {
    if (pause_ > 0) std::this_thread::sleep_for(std::chrono::duration<double>(pause_));
    if (number_ < frames_) return VideoFrame{image::Image(2, 2), ++number_, 0};
    if (breaks_) throw Error(ErrorKind::kFile, "it broke");
    return {};
  }
  double frame_rate() const override { return 12; }

 private:
  int frames_;
  bool breaks_;
  double pause_;
  int64_t number_ = 0;
};

TEST(Playback, GivesEveryFrameOfAFileHoweverSlowlyTheyAreTaken) {
  Playback playback([](const ReadOptions&) { return std::make_unique<MadeFrames>(20, false); }, {});
  EXPECT_EQ(playback.frame_rate(), 12);
  for (int64_t i = 1; i <= 20; ++i) {
    const auto frame = playback.next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->number, i);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(playback.next());
  EXPECT_EQ(playback.dropped(), 0);
}

TEST(Playback, ThrowsWhatReadingAFileThrows) {
  Playback playback([](const ReadOptions&) { return std::make_unique<MadeFrames>(2, true); }, {});
  EXPECT_TRUE(playback.next());
  EXPECT_TRUE(playback.next());
  EXPECT_THROW(playback.next(), Error);
}

TEST(Playback, OfALiveSourceGivesTheNewestAndCountsTheOthers) {
  Playback playback([](const ReadOptions&) { return std::make_unique<MadeFrames>(50, false, 0.001); },
                    {.live = true, .first_wait = 100});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto frame = playback.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->number, 49);  // streams count from 0
  EXPECT_EQ(playback.dropped(), 49);
  EXPECT_FALSE(playback.try_next());
  EXPECT_FALSE(playback.ended());
}

TEST(Playback, BuffersThirtyFramesWhereItIsAsked) {
  Playback playback([](const ReadOptions&) { return std::make_unique<MadeFrames>(50, false); },
                    {.live = true, .buffer = true, .first_wait = 100});
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(playback.next()->number, 20);
  EXPECT_EQ(playback.dropped(), 20);
}

TEST(Playback, OpensALostStreamAgainAndWaitsLongerEachTime) {
  std::mutex mutex;
  std::vector<std::string> said;
  int opened = 0;
  PlaybackOptions options{.live = true, .buffer = true, .first_wait = 0.01, .longest_wait = 0.04};
  options.say = [&](const std::string& line) {
    const std::scoped_lock lock(mutex);
    said.push_back(line);
  };
  {
    Playback playback(
        [&](const ReadOptions&) -> std::unique_ptr<FrameReader> {
          const int time = ++opened;
          if (time >= 2 && time <= 6) throw Error(ErrorKind::kFile, "nobody there");
          return std::make_unique<MadeFrames>(3, time == 1);
        },
        options);
    for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(playback.next()->number, i);  // they go on counting
    EXPECT_GE(playback.reconnections(), 6);
  }
  ASSERT_GE(said.size(), 6u);
  EXPECT_EQ(said[0], "lost (it broke); again in 0.01 s");
  EXPECT_EQ(said[1], "lost (nobody there); again in 0.02 s");
  EXPECT_EQ(said[2], "lost (nobody there); again in 0.04 s");
  EXPECT_EQ(said[3], "lost (nobody there); again in 0.04 s");
}

TEST(Playback, StopsWhileItWaits) {
  const auto begin = std::chrono::steady_clock::now();
  {
    Playback playback(
        [](const ReadOptions&) -> std::unique_ptr<FrameReader> { throw Error(ErrorKind::kFile, "nobody"); },
        {.live = true, .first_wait = 100});
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    playback.stop();
    EXPECT_FALSE(playback.next());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(Camera, SaysWhereThereIsNone) {
  EXPECT_SAYS(testing::message_of([] { open_camera("99", {}); }, ErrorKind::kFile),
              "/dev/video99: the webcam cannot be opened");
  EXPECT_SAYS(testing::message_of([] { open_camera("/dev/null", {}); }, ErrorKind::kUnsupported),
              "not a webcam");
}

TEST(Yuyv, BecomesBlueGreenAndRed) {
  const auto pixels = [](std::array<int, 4> yuyv) {
    std::array<std::byte, 4> bytes;
    for (size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(yuyv[i]);
    const image::Image image = bgr_of_yuyv(bytes, 2, 1, 0);
    return std::vector<int>(image.row(0), image.row(0) + 6);
  };
  EXPECT_EQ(pixels({16, 128, 235, 128}), (std::vector{0, 0, 0, 255, 255, 255}));
  // Red of BT.601.
  const auto red = pixels({81, 90, 81, 240});
  EXPECT_NEAR(red[0], 0, 1);
  EXPECT_NEAR(red[1], 0, 1);
  EXPECT_NEAR(red[2], 254, 1);
  const std::array<std::byte, 7> few = {};
  EXPECT_THROW(bgr_of_yuyv(few, 2, 2, 0), Error);
  EXPECT_THROW(bgr_of_yuyv(few, 3, 1, 0), Error);
  EXPECT_THROW(bgr_of_yuyv(few, 2, 1, 3), Error);
}

}  // namespace
}  // namespace marrow::video
