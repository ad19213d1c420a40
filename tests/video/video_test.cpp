// Videos written and read back.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "marrow/image/scene.h"
#include "marrow/video/frame_reader.h"
#include "marrow/video/video_writer.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"

namespace marrow::video {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

// A picture whose grey says its number.
image::Image numbered(int number, int width = 64, int height = 48) {
  return {width, height, static_cast<uint8_t>(20 + 6 * number)};
}

int number_of(const image::Image& picture) {
  const int middle = *picture.pixel(picture.width() / 2, picture.height() / 2);
  return static_cast<int>(std::lround((middle - 20) / 6.0));
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class Video : public ::testing::Test {
 protected:
  // 30 frames of 25 a second.
  fs::path write(const std::string& name, WriteOptions options = {}) const {
    if (options.size == Size()) options.size = {64, 48};
    options.frame_rate = 25;
    VideoWriter writer(folder_ / name, options);
    for (int i = 0; i < 30; ++i) writer.write(numbered(i, options.size.width, options.size.height));
    writer.finish();
    return folder_ / name;
  }

  std::vector<VideoFrame> read(const fs::path& path, const ReadOptions& options = {}) {
    const auto reader = open_video_file(path.string(), options);
    std::vector<VideoFrame> frames;
    while (auto frame = reader->next()) frames.push_back(std::move(*frame));
    broken_ = reader->broken_packets();
    return frames;
  }

  const testing::TemporaryFolder folder_;
  int64_t broken_ = 0;
};

TEST_F(Video, ComesBackAsItWasWritten) {
  for (const auto& [name, codec] : {std::pair{"a.mp4", ""},
                                    {"b.mkv", "libx264"},
                                    {"c.avi", "mpeg4"},
                                    {"d.mov", "mjpeg"},
                                    {"e.mkv", "libvpx-vp9"}}) {
    SCOPED_TRACE(name);
    const fs::path path = write(name, {.codec = codec});
    const auto frames = read(path);
    ASSERT_EQ(frames.size(), 30u);
    EXPECT_EQ(broken_, 0);
    for (int i = 0; i < 30; ++i) {
      const VideoFrame& frame = frames[static_cast<size_t>(i)];
      EXPECT_EQ(frame.number, i + 1);
      EXPECT_NEAR(frame.seconds, i / 25.0, 0.0011);
      EXPECT_EQ(frame.image.width(), 64);
      EXPECT_EQ(frame.image.height(), 48);
      EXPECT_EQ(number_of(frame.image), i);
    }
    const auto reader = open_video_file(path.string(), {});
    EXPECT_NEAR(reader->frame_rate(), 25, 0.1);
    EXPECT_NEAR(reader->duration(), 30 / 25.0, 0.05);
  }
}

TEST_F(Video, KeepsColours) {
  VideoWriter writer(folder_ / "scene.mp4", {.size = {160, 120}});
  const image::Image scene = image::draw_scene(160, 120, 1);
  for (int i = 0; i < 3; ++i) writer.write(scene);
  writer.finish();
  const auto frames = read(folder_ / "scene.mp4");
  ASSERT_EQ(frames.size(), 3u);
  double difference = 0;
  for (int y = 0; y < 120; ++y)
    for (size_t i = 0; i < scene.row_bytes(); ++i)
      difference += std::abs(frames[1].image.row(y)[i] - scene.row(y)[i]);
  EXPECT_LT(difference / static_cast<double>(scene.byte_size()), 6);
}

TEST_F(Video, KeepsTimesThatAreNotRegular) {
  const double times[] = {0, 0.1, 0.5, 0.5, 2.25};
  VideoWriter writer(folder_ / "a.mp4", {.size = {64, 48}});
  for (int i = 0; i < 5; ++i) writer.write(numbered(i), times[i]);
  writer.finish();
  const auto frames = read(folder_ / "a.mp4");
  ASSERT_EQ(frames.size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(frames[i].seconds, times[i], 1e-3);
  EXPECT_GT(frames[3].seconds, frames[2].seconds);
}

TEST_F(Video, IsWrittenByOneAtATime) {
  VideoWriter writer(folder_ / "a.mp4", {.size = {64, 48}});
  for (int i = 0; i < 5; ++i) writer.write(numbered(i));
  EXPECT_SAYS(message_of([&] {
                VideoWriter(folder_ / "a.mp4", {.size = {64, 48}});
              }),
              "another process writes this video");
  writer.finish();
  EXPECT_EQ(read(folder_ / "a.mp4").size(), 5u);
}

TEST_F(Video, TakesEveryNthFrameAndKeepsTheirNumbers) {
  const auto frames = read(write("a.mp4"), {.stride = 7});
  ASSERT_EQ(frames.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(frames[i].number, static_cast<int64_t>(7 * i + 1));
    EXPECT_EQ(number_of(frames[i].image), static_cast<int>(7 * i));
    EXPECT_NEAR(frames[i].seconds, static_cast<double>(7 * i) / 25, 1e-3);
  }
}

TEST_F(Video, CutsOddSizesAndStretchesPicturesOfOthers) {
  VideoWriter writer(folder_ / "a.mp4", {.size = {65, 49}});
  writer.write(numbered(1, 65, 49));
  writer.write(numbered(2, 200, 20));
  writer.finish();
  const auto frames = read(folder_ / "a.mp4");
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1].image.width(), 64);
  EXPECT_EQ(frames[1].image.height(), 48);
  EXPECT_EQ(number_of(frames[1].image), 2);
}

// The matrix of a track in an MP4 file, 36 bytes before its width and height at the end of the box.
std::string with_matrix(std::string bytes, const std::array<int32_t, 9>& matrix) {
  const size_t box = bytes.find("tkhd");
  EXPECT_NE(box, std::string::npos);
  size_t place = box + 4 + 40;  // behind version, flags, times, id, duration, layer, volume
  for (const int32_t value : matrix)
    for (int shift = 24; shift >= 0; shift -= 8) bytes[place++] = static_cast<char>(value >> shift);
  return bytes;
}

TEST_F(Video, IsTurnedUpright) {
  // Left half dark, right half bright, a white corner at the upper left.
  image::Image picture(64, 48, 40);
  for (int y = 0; y < 48; ++y)
    for (int x = 0; x < 64; ++x)
      std::fill_n(picture.pixel(x, y), 3, static_cast<uint8_t>(x < 16 && y < 16 ? 250 : x < 32 ? 40 : 140));
  VideoWriter writer(folder_ / "a.mp4", {.size = {64, 48}});
  for (int i = 0; i < 3; ++i) writer.write(picture);
  writer.finish();
  const std::string plain = bytes_of(folder_ / "a.mp4");
  constexpr int32_t kOne = 1 << 16, kLast = 1 << 30;
  struct Turn {
    std::array<int32_t, 9> matrix;
    int width, height;
    int corner_x, corner_y;  // where the white corner is
  };
  const Turn turns[] = {
      {{kOne, 0, 0, 0, kOne, 0, 0, 0, kLast}, 64, 48, 4, 4},
      {{0, kOne, 0, -kOne, 0, 0, 0, 0, kLast}, 48, 64, 43, 4},    // a quarter clockwise, as phones film
      {{-kOne, 0, 0, 0, -kOne, 0, 0, 0, kLast}, 64, 48, 59, 43},  // upside down
      {{0, -kOne, 0, kOne, 0, 0, 0, 0, kLast}, 48, 64, 4, 59},    // a quarter the other way
      {{-kOne, 0, 0, 0, kOne, 0, 0, 0, kLast}, 64, 48, 59, 4},    // mirrored
  };
  for (const Turn& turn : turns) {
    write_bytes(folder_ / "b.mp4", with_matrix(plain, turn.matrix));
    const auto frames = read(folder_ / "b.mp4");
    ASSERT_EQ(frames.size(), 3u);
    const image::Image& upright = frames[0].image;
    EXPECT_EQ(upright.width(), turn.width);
    EXPECT_EQ(upright.height(), turn.height);
    EXPECT_GT(*upright.pixel(turn.corner_x, turn.corner_y), 200);
    EXPECT_LT(*upright.pixel(turn.width - 1 - turn.corner_x, turn.height - 1 - turn.corner_y), 180);
  }
}

TEST_F(Video, LeavesOutBrokenPacketsAndCountsThem) {
  std::string bytes = bytes_of(write("a.mkv", {.codec = "mjpeg"}));
  // The beginnings of some JPEGs.
  int spoiled = 0;
  for (size_t at = bytes.find("\xff\xd8\xff"), number = 0; at != std::string::npos;
       at = bytes.find("\xff\xd8\xff", at + 1), ++number)
    if (number % 10 == 5) {
      bytes.replace(at, 200, std::string(200, '\0'));
      ++spoiled;
    }
  ASSERT_EQ(spoiled, 3);
  write_bytes(folder_ / "a.mkv", bytes);
  const auto frames = read(folder_ / "a.mkv");
  EXPECT_EQ(frames.size(), 27u);
  EXPECT_EQ(broken_, 3);
}

TEST_F(Video, EndsWhereTheFileWasCutOff) {
  for (const std::string name : {"a.mkv", "b.avi", "c.ts"}) {
    SCOPED_TRACE(name);
    VideoWriter writer(folder_ / name, {.size = {160, 120}});
    for (uint64_t i = 0; i < 30; ++i) writer.write(image::draw_scene(160, 120, i));
    writer.finish();
    const std::string bytes = bytes_of(folder_ / name);
    size_t most = 0;
    for (const size_t share : {3, 2}) {
      write_bytes(folder_ / name, bytes.substr(0, bytes.size() * (share - 1) / share));
      const size_t frames = read(folder_ / name).size();
      EXPECT_LT(frames, 30u);
      most = std::max(most, frames);
    }
    EXPECT_GT(most, 0u);
  }
}

TEST_F(Video, ChangesItsSizeOnTheWay) {
  const std::string small = bytes_of(write("a.ts")), large = bytes_of(write("b.ts", {.size = {96, 64}}));
  write_bytes(folder_ / "c.ts", small + large);
  const auto frames = read(folder_ / "c.ts");
  ASSERT_EQ(frames.size(), 60u);
  EXPECT_EQ(frames[29].image.width(), 64);
  EXPECT_EQ(frames[30].image.width(), 96);
  EXPECT_EQ(number_of(frames[59].image), 29);
}

TEST_F(Video, SurvivesEveryFlippedAndMissingByte) {
  for (const std::string name : {"a.mp4", "b.mkv", "c.avi", "d.ts"}) {
    SCOPED_TRACE(name);
    const std::string bytes = bytes_of(write(name, {.codec = name == "a.mp4" ? "" : "mpeg4"}));
    const size_t step = bytes.size() / 97 + 1;
    for (size_t at = 0; at < bytes.size(); at += step)
      for (const bool cut : {false, true}) {
        std::string spoiled = bytes;
        if (cut)
          spoiled.resize(at);
        else
          for (size_t i = at; i < std::min(at + 4, spoiled.size()); ++i)
            spoiled[i] = static_cast<char>(~spoiled[i]);
        write_bytes(folder_ / name, spoiled);
        try {
          EXPECT_LE(read(folder_ / name).size(), 200u);
        } catch (const Error&) {
          // Refused with a message.
        }
      }
  }
}

TEST_F(Video, SaysWhatIsNoVideo) {
  const auto message = [](const fs::path& path) {
    return message_of([&] { open_video_file(path.string(), {}); });
  };
  write_bytes(folder_ / "text.mp4", "this is not a video\n");
  EXPECT_SAYS(message(folder_ / "text.mp4"), "text.mp4: cannot be opened: Invalid data");
  write_bytes(folder_ / "empty.mp4", "");
  EXPECT_SAYS(message(folder_ / "empty.mp4"), "empty.mp4: ");
  EXPECT_SAYS(message(folder_ / "none.mp4"), "none.mp4: cannot be opened: No such file");
}

TEST_F(Video, AFileOpensNothingElse) {
  const fs::path video = write("a.ts");
  const std::string playlist =
      "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n" + video.string() + "\n#EXT-X-ENDLIST\n";
  write_bytes(folder_ / "list.mp4", playlist);
  EXPECT_THROW(read(folder_ / "list.mp4"), Error);
  write_bytes(folder_ / "list2.mp4", "ffconcat version 1.0\nfile a.ts\n");
  EXPECT_THROW(read(folder_ / "list2.mp4"), Error);
}

TEST_F(Video, AStreamOpensNoFiles) {
  const fs::path video = write("a.ts");
  EXPECT_THROW(open_stream("file://" + video.string(), {}), Error);
  EXPECT_THROW(open_stream("concat:" + video.string(), {}), Error);
}

TEST_F(Video, WaitsNoLongerThanItWasTold) {
  const auto begin = std::chrono::steady_clock::now();
  // A server that takes connections and says nothing.
  const int server = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(server, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(server, 1), 0);
  ASSERT_EQ(::getsockname(server, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const std::string url = "http://me:secret@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/x.mp4";
  const std::string message =
      message_of([&] { open_stream(url, {.live = true, .open_seconds = 0.3}); }, ErrorKind::kFile);
  EXPECT_SAYS(message, "nothing came for 0.3 seconds");
  EXPECT_EQ(message.find("secret"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  ::close(server);
}

TEST_F(Video, IsNotThereUntilItIsFinished) {
  {
    VideoWriter writer(folder_ / "a.mp4", {.size = {64, 48}});
    writer.write(numbered(1));
    EXPECT_FALSE(fs::exists(folder_ / "a.mp4"));
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  EXPECT_SAYS(message_of(
                  [&] {
                    VideoWriter(folder_ / "a.xyz", {.size = {64, 48}});
                  },
                  ErrorKind::kUnsupported),
              "no kind of video has the suffix '.xyz'");
  EXPECT_SAYS(message_of(
                  [&] {
                    VideoWriter(folder_ / "no/a.mp4", {.size = {64, 48}});
                  },
                  ErrorKind::kFile),
              "cannot be written");
  EXPECT_SAYS(message_of(
                  [&] {
                    VideoWriter(folder_ / "a.mp4", {.size = {1, 48}});
                  },
                  ErrorKind::kUsage),
              "1x48 pixels");
}

}  // namespace
}  // namespace marrow::video
