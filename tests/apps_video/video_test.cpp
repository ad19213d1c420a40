// `marrow predict` and `marrow track` of videos, as processes.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "apps/program.h"
#include "marrow/image/scene.h"
#include "marrow/video/frame_reader.h"
#include "marrow/video/video_writer.h"
#include "support/made_network.h"

namespace marrow::apps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::lines_of;
using testing::ProgramResult;
using testing::run_program;

class Videos : public ::testing::Test {
 protected:
  void SetUp() override { testing::write_detector(folder_ / "detector.safetensors"); }

  // A scene that slides, 20 frames a second.
  fs::path video(const std::string& name, int frames = 12) const {
    video::VideoWriter writer(folder_ / name, {.size = {96, 64}, .frame_rate = 20});
    const image::Image scene = image::draw_scene(160, 64, 3);
    for (int i = 0; i < frames; ++i) writer.write(image::copy_image(scene.region(i, 0, 96, 64)));
    writer.finish();
    return folder_ / name;
  }

  ProgramResult run(const std::string& command, const std::string& source,
                    std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {command,     "--model", "detector.safetensors",
                                      "--source",  source,    "--imgsz",
                                      "64",        "--conf",  "0.001",
                                      "--max-det", "3"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, {.folder = folder_.path()});
  }

  static std::vector<video::VideoFrame> frames_of(const fs::path& path) {
    std::vector<video::VideoFrame> frames;
    const auto reader = video::open_video_file(path.string(), {});
    while (auto frame = reader->next()) frames.push_back(std::move(*frame));
    return frames;
  }

  const testing::TemporaryFolder folder_;
};

TEST_F(Videos, ArePredictedAndWritten) {
  video("a.mp4");
  const ProgramResult result = run("predict", "a.mp4", {"--json", "--save-txt", "--save-frames"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 12u) << result.out;
  for (size_t i = 0; i < lines.size(); ++i) {
    const json line = json::parse(lines[i]);
    EXPECT_EQ(line["image"], "a.mp4");
    EXPECT_EQ(line["frame"], i + 1);
    EXPECT_NEAR(line["time"].get<double>(), static_cast<double>(i) / 20, 1e-3);
    EXPECT_EQ(line["width"], 96);
    EXPECT_EQ(line["detections"].size(), 3u);
  }
  EXPECT_SAYS(result.err, "video 1/1 (frame 2, 0:00.0 of 0:00.6) a.mp4: 64x64 3 ");
  const fs::path run_folder = folder_ / "runs/detect/predict";
  const auto written = frames_of(run_folder / "a.mp4");
  ASSERT_EQ(written.size(), 12u);
  EXPECT_NEAR(written[11].seconds, 11 / 20.0, 2e-3);
  EXPECT_EQ(written[0].image.width(), 96);
  EXPECT_TRUE(fs::exists(run_folder / "a_frames/a_12.jpg"));
  EXPECT_TRUE(fs::exists(run_folder / "labels/a_12.txt"));
  EXPECT_EQ(lines_of(testing::read_text(run_folder / "labels/a_1.txt")).size(), 3u);
}

TEST_F(Videos, AreTrackedWithAStride) {
  video("a.mp4");
  const ProgramResult written = run("track", "a.mp4", {"--vid-stride", "5", "--mot", "out.txt", "--json"});
  EXPECT_EQ(written.code, 0) << written.err;
  const auto lines = lines_of(written.out);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(json::parse(lines[1])["frame"], 6);
  const ProgramResult again = run("track", "a.mp4", {"--vid-stride", "5", "--eval", "out.txt", "--no-save"});
  EXPECT_SAYS(again.out, "MOTA 1.000, IDF1 1.000");
  const auto video = frames_of(folder_ / "runs/detect/track/a.mp4");
  ASSERT_EQ(video.size(), 3u);
  EXPECT_NEAR(video[1].seconds, 0.25, 2e-3);
}

TEST_F(Videos, OfAFolderAreSeenOneAfterTheOther) {
  fs::create_directory(folder_ / "in");
  video("in/a.mp4", 3);
  video("in/a.avi", 4);
  testing::write_text(folder_ / "in/broken.mkv", "not a video");
  const ProgramResult result = run("predict", "in");
  EXPECT_EQ(result.code, 1);
  EXPECT_SAYS(result.err, "marrow: video 3/3 skipped: in/broken.mkv: cannot be opened");
  EXPECT_EQ(frames_of(folder_ / "runs/detect/predict/a.mp4").size() +
                frames_of(folder_ / "runs/detect/predict/a2.mp4").size(),
            7u);
  EXPECT_SAYS(result.out, "per frame of 7 frames");
}

TEST_F(Videos, OfAListAreSeenSideBySide) {
  video("a.mp4", 3);
  video("b.mp4", 3);
  testing::write_text(folder_ / "both.streams", "a.mp4\n# a remark\nb.mp4\n");
  const ProgramResult result = run("track", "both.streams", {"--no-save", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  std::multiset<std::string> seen;
  for (const std::string& line : lines_of(result.out))
    seen.insert(json::parse(line)["image"].get<std::string>());
  EXPECT_EQ(seen.count("a.mp4"), 3u);
  EXPECT_EQ(seen.count("b.mp4"), 3u);
  const ProgramResult refused = run("track", "both.streams", {"--mot", "x.txt"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_SAYS(refused.err, "--mot and --eval: they are for one video; there are 2");
}

TEST_F(Videos, OfAListAreKeptWhereAnotherFails) {
  // It is opened, but its pictures are missing.
  const std::string whole = testing::read_text(video("whole.mp4", 3));
  testing::write_text(folder_ / "empty.mp4", whole.substr(0, whole.find("mdat") + 4));
  video("good.mp4", 3);
  testing::write_text(folder_ / "both.streams", "empty.mp4\ngood.mp4\n");
  const ProgramResult result = run("predict", "both.streams");
  EXPECT_EQ(result.code, 1);
  EXPECT_SAYS(result.err, "marrow: video 1/2 skipped: empty.mp4: no frame of it could be read");
  EXPECT_EQ(frames_of(folder_ / "runs/detect/predict/good.mp4").size(), 3u);
}

// Serves one video over HTTP, again and again, and closes the connection after each.
class VideoServer {
 public:
  explicit VideoServer(std::string video) : video_(std::move(video)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* place = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, place, length) != 0 || ::listen(socket_, 8) != 0 ||
        ::getsockname(socket_, place, &length) != 0)
      throw std::runtime_error("no socket");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~VideoServer() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  std::string url() const { return "http://me:secret@127.0.0.1:" + std::to_string(port_) + "/live.ts"; }

 private:
  void serve() const {
    for (int client; (client = ::accept(socket_, nullptr, nullptr)) >= 0;) {
      char request[4096];
      const std::string answer = "HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + video_;
      if (::recv(client, request, sizeof request, 0) > 0)
        for (size_t sent = 0; sent < answer.size();) {
          const ssize_t count = ::send(client, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
          if (count <= 0) break;
          sent += static_cast<size_t>(count);
        }
      ::close(client);
    }
  }

  std::string video_;
  int socket_ = -1;
  int port_ = 0;
  std::thread thread_;
};

TEST_F(Videos, OfAStreamGoOnWhenItIsLostAndFound) {
  const VideoServer server(testing::read_text(video("live.ts", 8)));
  const pid_t child = ::fork();
  if (child == 0) {
    if (::chdir(folder_.path().c_str()) != 0 || std::freopen("out.txt", "w", stdout) == nullptr ||
        std::freopen("err.txt", "w", stderr) == nullptr)
      ::_exit(99);
    ::execl(MARROW_PROGRAM, "marrow", "track", "detector.safetensors", "--source", server.url().c_str(),
            "--imgsz", "64", "--json", "--stream-buffer", nullptr);
    ::_exit(99);
  }
  for (int i = 0; i < 3000 && lines_of(testing::read_text(folder_ / "out.txt")).size() < 12; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << testing::read_text(folder_ / "err.txt");
  const auto lines = lines_of(testing::read_text(folder_ / "out.txt"));
  ASSERT_GE(lines.size(), 12u);
  double last = -1;
  for (size_t i = 0; i < lines.size(); ++i) {
    const json line = json::parse(lines[i]);
    EXPECT_EQ(line["frame"], i);
    EXPECT_GT(line["time"].get<double>(), last);
    last = line["time"].get<double>();
    EXPECT_EQ(line["image"].get<std::string>().find("secret"), std::string::npos);
  }
  const std::string said = testing::read_text(folder_ / "err.txt");
  EXPECT_SAYS(said, "; again in 1 s");
  EXPECT_EQ(said.find("secret"), std::string::npos);
  size_t videos = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "runs/detect/track")) {
    EXPECT_EQ(frames_of(entry.path()).size(), lines.size());
    ++videos;
  }
  EXPECT_EQ(videos, 1u);
}

TEST_F(Videos, TakeTheWordsOfYolo) {
  video("a.mp4", 2);
  const ProgramResult result = run_program({"detect", "predict", "model=detector.safetensors", "source=a.mp4",
                                            "imgsz=64", "save=False", "vid_stride=2"},
                                           {.folder = folder_.path()});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_SAYS(result.out, "video 1/1 (frame 1, ");
}

// Masks, keypoints and turned boxes in JSON, in label files and in the folder's name.
TEST_F(Videos, HaveWhatTheirModelFinds) {
  video("a.mp4", 3);
  struct Expected {
    const char *suffix, *folder, *member;
  };
  for (const auto& [suffix, folder, member] :
       {Expected{"seg", "segment", "outline"}, {"pose", "pose", "keypoints"}, {"obb", "obb", "corners"}}) {
    SCOPED_TRACE(suffix);
    const std::string model = std::string(suffix) + ".safetensors";
    testing::write_network(folder_ / model, std::string("yolov8n-") + suffix, {"red box", "disc", "bar"});
    for (const std::string command : {"predict", "track"}) {
      const ProgramResult result = run_program(
          {command, model, "--source", "a.mp4", "--imgsz", "96", "--max-det", "3", "--json", "--save-txt"},
          {.folder = folder_.path()});
      ASSERT_EQ(result.code, 0) << result.err;
      const auto lines = lines_of(result.out);
      ASSERT_EQ(lines.size(), 3u);
      const json last = json::parse(lines.back());
      ASSERT_FALSE(last["detections"].empty());
      for (const json& detection : last["detections"]) {
        EXPECT_TRUE(detection.contains(member));
        EXPECT_EQ(detection.contains("track_id"), command == "track");
      }
      const fs::path run_folder = folder_ / "runs" / folder / command;
      EXPECT_EQ(frames_of(run_folder / "a.mp4").size(), 3u);
      const std::string row = lines_of(testing::read_text(run_folder / "labels/a_3.txt")).at(0);
      EXPECT_GT(std::ranges::count(row, ' '), 5) << "more than a box";
    }
  }
}

TEST_F(Videos, AreNotForClassifiers) {
  video("a.mp4", 2);
  testing::write_classifier(folder_ / "classifier.safetensors");
  const ProgramResult result =
      run_program({"predict", "classifier.safetensors", "--source", "a.mp4"}, {.folder = folder_.path()});
  EXPECT_EQ(result.code, 1);
  EXPECT_SAYS(result.err, "a classifier; videos and tracks are for models that find objects");
}

TEST_F(Videos, AreWholeAfterCtrlC) {
  video("a.mp4", 64);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::chdir(folder_.path().c_str()) != 0 || std::freopen("/dev/null", "w", stdout) == nullptr)
      ::_exit(99);
    ::execl(MARROW_PROGRAM, "marrow", "predict", "detector.safetensors", "--source", "a.mp4", "--imgsz",
            "640", nullptr);
    ::_exit(99);
  }
  // Until it has begun.
  const fs::path unfinished = folder_ / "runs/detect/predict/.a.unfinished.mp4";
  for (int i = 0; i < 1000 && !fs::exists(unfinished); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  const size_t frames = frames_of(folder_ / "runs/detect/predict/a.mp4").size();
  EXPECT_GT(frames, 0u);
  EXPECT_LE(frames, 64u);
  EXPECT_FALSE(fs::exists(unfinished));
}

TEST_F(Videos, SayWhatIsMissingWithoutTheirProgram) {
  video("a.mp4", 2);
  fs::copy_file(MARROW_PROGRAM, folder_ / "marrow");
  const std::string command =
      "cd " + folder_.path().string() + " && PATH=/usr/bin ./marrow predict x.pt --source a.mp4 2>err.txt";
  EXPECT_NE(std::system(command.c_str()), 0);
  EXPECT_SAYS(testing::read_text(folder_ / "err.txt"), "install the Debian package marrow-video");
}

}  // namespace
}  // namespace marrow::apps
