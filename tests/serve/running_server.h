// A server with models of random weights, in this process, and what its answers have to be.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "marrow/base/error.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "marrow/model/checkpoint.h"
#include "marrow/model/import.h"
#include "marrow/serve/serving.h"
#include "support/http_client.h"
#include "support/made_network.h"
#include "support/temporary_folder.h"

namespace marrow::testing {

// Of these tests: "det", a detector of three classes; "cls", a classifier; "tiles", a detector of images in
// tiles; "seg", "pose" and "obb", of masks, of 17 keypoints and of turned boxes.
inline const std::filesystem::path& served_folder() {
  static const TemporaryFolder folder;
  static const bool made = [] {
    const std::vector<std::string> names = {"red box", "it's \"green\"", "bar"};
    write_network(folder / "det.safetensors", "yolov8n", names);
    write_network(folder / "cls.safetensors", "yolov8n-cls", {"a", "b", "c", "d"});
    write_network(folder / "tiles.safetensors", "yolov8n", names, {.tiles = {48, 0.5}});
    for (const std::string task : {"seg", "pose", "obb"})
      write_network(folder / (task + ".safetensors"), "yolov8n-" + task, names);
    return true;
  }();
  EXPECT_TRUE(made);
  return folder.path();
}

inline model::TrainedModel served_model(const std::string& name) {
  return model::load_trained(served_folder() / (name + ".safetensors"));
}

inline constexpr int kServedSide = 96;  // pixels of the detectors' input

inline serve::ServingOptions served_options(const std::vector<std::string>& models = {"det", "cls",
                                                                                      "tiles"}) {
  serve::ServingOptions options;
  for (const std::string& name : models)
    options.models.push_back({name, (served_folder() / (name + ".safetensors")).string()});
  options.network.imgsz = {kServedSide};
  options.network.max_side = 160;
  options.network.max_batch = 4;
  options.network.engine.threads = 1;
  options.service.version = "1.2.3";
  options.service.calls.infer = {.batch = 8, .pixels = 1'000'000};
  options.server.port = 0;
  return options;
}

class RunningServer {
 public:
  explicit RunningServer(const serve::ServingOptions& options = served_options()) : serving(options) {
    thread_ = std::thread([this] { serving.run(); });
    for (int i = 0; i < 6000 && !serving.ready(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(serving.ready());
  }
  ~RunningServer() {
    if (thread_.joinable()) {
      serving.drain();
      thread_.join();
    }
  }
  void join() { thread_.join(); }

  uint16_t port() const { return serving.port(); }
  HttpAnswer ask(const std::string& request) const { return HttpClient(port()).ask(request); }
  HttpAnswer get(const std::string& target) const { return ask(http_request("GET", target)); }
  HttpAnswer post(const std::string& target, const std::string& body, const std::string& fields = "") const {
    return ask(http_request("POST", target, body, fields));
  }

  serve::Serving serving;

 private:
  std::thread thread_;
};

// One for the tests that leave it as it is.
inline RunningServer& shared_server() {
  static RunningServer server;
  return server;
}

inline std::string drawn_jpeg(int width, int height, uint64_t seed) {
  return image::encode_jpeg(image::draw_scene(width, height, seed).pixels());
}

inline std::string form_part(const std::string& name, const std::string& file, const std::string& content) {
  return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + file +
         "\"\r\nContent-Type: image/jpeg\r\n\r\n" + content + "\r\n";
}
inline constexpr const char* kFormType = "Content-Type: multipart/form-data; boundary=B\r\n";

}  // namespace marrow::testing
