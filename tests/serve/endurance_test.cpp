// What a long run leaves behind.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "serve/running_server.h"

namespace marrow::serve {
namespace {

using testing::drawn_jpeg;
using testing::eventually;
using testing::http_request;
using testing::HttpClient;
using testing::RunningServer;

size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Requests of every kind, good and bad, some of them cut: nothing stays behind.
TEST(Serving, StaysAsSmallAsItIs) {
  RunningServer server;
  const std::string picture = drawn_jpeg(150, 90, 1);
  const std::string form = testing::form_part("image", "a", picture) + "--B--";
  const auto round = [&] {
    for (int i = 0; i < 25; ++i) {
      EXPECT_EQ(server.post("/v1/detect", picture).status, 200);
      EXPECT_EQ(server.post("/v1/detect", form, testing::kFormType).status, 200);
      EXPECT_EQ(server.post("/v1/detect", picture.substr(0, 300)).status, 400);
      EXPECT_EQ(server.post("/v2/models/det/infer", "{").status, 400);
      EXPECT_EQ(server.get("/metrics").status, 200);
      EXPECT_EQ(server.get("/nothing" + std::to_string(i)).status, 404);
      HttpClient leaver(server.port());
      leaver.send(http_request("POST", "/v1/detect", picture).substr(0, 400));
    }
    EXPECT_TRUE(eventually([&] { return server.serving.server().connections() == 0; }));
    EXPECT_TRUE(eventually([&] { return server.serving.server().body_bytes() == 0; }));
  };
  round();
  const size_t descriptors = open_descriptors(), memory = resident_bytes();
  for (int i = 0; i < 4; ++i) round();
  // A connection that was left at once may still have to be taken.
  EXPECT_TRUE(eventually([&] { return open_descriptors() <= descriptors; }));
  EXPECT_LT(resident_bytes(), memory + (16 << 20));
}

}  // namespace
}  // namespace marrow::serve
