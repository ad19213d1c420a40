// marrow serve while the disk, the clock and its clients fail.
#include <gtest/gtest.h>

#include <filesystem>

#include "apps/server_process.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "reliability/commands.h"
#include "reliability/faulty_run.h"
#include "support/environment.h"
#include "support/http_client.h"

namespace marrow::testing {
namespace {

class FaultyServer : public ::testing::Test {
 protected:
  FaultyServer() { prepare_commands(folder_.path()); }

  ServerProcess& start(const std::string& fault) {
    fs::remove(folder_ / "log");
    const Environment library("LD_PRELOAD", MARROW_FAULTS_LIBRARY), plan("MARROW_FAULT", fault.c_str()),
        log("MARROW_FAULT_LOG", (folder_ / "log").c_str());
    server_.emplace(std::vector<std::string>{(folder_ / "tiny.safetensors").string(), "--port", "0",
                                             "--imgsz", "64", "--no-autotune", "--no-access-log", "--labels",
                                             (folder_ / "labels").string()});
    port_ = server_->port();
    return *server_;
  }
  void stop() {
    server_->signal(SIGTERM);
    EXPECT_EQ(server_->exit_code(), 0);
    server_.reset();
  }
  ~FaultyServer() override {
    if (server_) stop();
  }

  // Of those that the fault is about, up to the one that it meets.
  size_t noted_calls() const { return lines_of(read_text(folder_ / "log")).size(); }

  HttpAnswer detect() { return HttpClient(port_).ask(http_request("POST", "/v1/detect", picture_)); }
  HttpAnswer save(int class_number) {
    const auto part = [](const std::string& name, const std::string& content) {
      return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content + "\r\n";
    };
    const std::string labels = R"({"width":64,"height":64,"boxes":[{"class":)" +
                               std::to_string(class_number) + R"(,"box":[1,1,30,30]}]})";
    return HttpClient(port_).ask(http_request("POST", "/v1/labels",
                                              part("image", picture_) + part("labels", labels) + "--B--\r\n",
                                              "Content-Type: multipart/form-data; boundary=B\r\n"));
  }
  // Of the files below the folder of labels, without those of a dataset's start.
  std::vector<std::string> label_texts() const {
    std::vector<std::string> texts;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "labels")) {
      EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
      if (entry.path().extension() == ".txt") texts.push_back(read_text(entry.path()));
    }
    return texts;
  }

  const TemporaryFolder folder_;
  const std::string picture_ = image::encode_png(image::draw_scene(64, 64, 1).pixels());
  std::optional<ServerProcess> server_;
  uint16_t port_ = 0;
};

TEST_F(FaultyServer, KeepsTheOldLabelsOnAFullDisk) {
  start("write:4:ENOSPC:" + (folder_ / "labels").string());
  ASSERT_EQ(save(0).status, 200);  // data.yaml, a label, a picture
  const std::vector<std::string> before = label_texts();
  ASSERT_EQ(before.size(), 1u);
  const HttpAnswer refused = save(1);
  EXPECT_EQ(refused.status, 500);
  EXPECT_SAYS(refused.body, "the labels could not be written");
  EXPECT_EQ(label_texts(), before);
  EXPECT_EQ(save(1).status, 200);
  EXPECT_NE(label_texts(), before);
  EXPECT_EQ(detect().status, 200);
}

TEST_F(FaultyServer, TakesItsTimesFromNoClockThatSteps) {
  start("clock:1:both");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(detect().status, 200);
  HttpClient slow(port_);
  const std::string request = http_request("POST", "/v1/detect", picture_);
  slow.send(request.substr(0, 40));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(slow.ask(request.substr(40)).status, 200);
  EXPECT_EQ(slow.ask(request).status, 200);
}

// One client loses its request, or none; the next ones get their answers.
TEST_F(FaultyServer, AnswersAgainAfterAFailedAllocation) {
  const auto fault = [](size_t nth) { return "memory:" + std::to_string(nth) + ":ENOMEM:16384"; };
  start(fault(0));
  const size_t before = noted_calls();  // until it was ready
  stop();
  constexpr size_t kMargin = 8, kTried = 10;  // starts differ by a few
  constexpr int kMostRequests = 100;
  int lost = 0;
  for (size_t nth = before + kMargin; nth < before + kMargin + kTried; ++nth) {
    start(fault(nth));
    EXPECT_LT(noted_calls(), nth) << "it failed before the first request";
    int asked = 0, answered = 0;
    for (; asked < kMostRequests && noted_calls() < nth; ++asked) answered += detect().status == 200;
    EXPECT_EQ(noted_calls(), nth) << "it never failed";
    EXPECT_GE(answered, asked - 1) << "allocation " << nth;
    lost += asked - answered;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(detect().status, 200) << "allocation " << nth;
    stop();
  }
  EXPECT_GT(lost, 0) << "no failure was felt";
}

TEST_F(FaultyServer, OutlivesClientsThatLeave) {
  start("");
  const std::string request = http_request("POST", "/v1/detect", picture_);
  for (size_t cut = 1; cut < request.size(); cut += request.size() / 20 + 1) {
    HttpClient client(port_);
    client.send(request.substr(0, cut));
  }
  for (int i = 0; i < 5; ++i) {
    HttpClient client(port_);
    client.send(request);  // and is not there for the answer
  }
  EXPECT_EQ(detect().status, 200);
}

}  // namespace
}  // namespace marrow::testing
