// Many clients at once: the queue, batches, clients that leave, draining, and models that are read again.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "serve/running_server.h"

namespace marrow::serve {
namespace {

using nlohmann::json;
using testing::drawn_jpeg;
using testing::eventually;
using testing::http_request;
using testing::HttpAnswer;
using testing::HttpClient;
using testing::RunningServer;

json statistics(const RunningServer& server, const std::string& model = "det") {
  return json::parse(server.get("/v2/models/" + model + "/stats").body)["model_stats"][0];
}

double metric(const RunningServer& server, const std::string& sample) {
  const std::string text = "\n" + server.get("/metrics").body;
  const size_t at = text.find("\n" + sample + " ");
  EXPECT_NE(at, std::string::npos) << sample;
  return at == std::string::npos ? -1 : std::stod(text.substr(at + sample.size() + 2));
}

// Pictures wait for each other that long.
ServingOptions patient(double seconds) {
  ServingOptions options = testing::served_options();
  options.network.engine.threads = 4;  // a picture on each
  options.service.queue.delay_seconds = seconds;
  return options;
}

TEST(Queue, RunsWhatWaitsTogetherAndChangesNothing) {
  RunningServer server(patient(5));
  std::vector<std::string> pictures, alone;
  for (uint64_t i = 0; i < 4; ++i) {
    pictures.push_back(drawn_jpeg(150, 100, i));
    alone.push_back(testing::shared_server().post("/v1/detect", pictures.back()).body);
  }
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (const std::string& picture : pictures) {
    clients.push_back(std::make_unique<HttpClient>(server.port()));
    clients.back()->send(http_request("POST", "/v1/detect", picture));
  }
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(clients[i]->receive().body, alone[i]);
  const json stats = statistics(server);
  EXPECT_EQ(stats["inference_count"], 4);
  EXPECT_EQ(stats["execution_count"], 1);
  EXPECT_EQ(stats["batch_stats"][0]["batch_size"], 4);
  EXPECT_EQ(stats["inference_stats"]["success"]["count"], 4);
  EXPECT_EQ(metric(server, R"(marrow_batch_size_bucket{model="det",le="2"})"), 0);
  EXPECT_EQ(metric(server, R"(marrow_batch_size_bucket{model="det",le="4"})"), 1);
}

TEST(Queue, RefusesMorePicturesThanItHolds) {
  ServingOptions options = patient(1.5);
  options.service.queue.pictures = 3;
  RunningServer server(options);
  const std::string picture = drawn_jpeg(90, 90, 1);
  HttpClient first(server.port()), second(server.port());
  first.send(http_request("POST", "/v1/detect", picture));
  ASSERT_TRUE(eventually([&] { return metric(server, R"(marrow_queue_depth{model="det"})") == 1; }));
  // Pictures are counted, not requests; other models have queues of their own.
  const std::string three = testing::form_part("image", "a", picture) +
                            testing::form_part("image", "b", picture) +
                            testing::form_part("image", "c", picture) + "--B--";
  const HttpAnswer refused = server.post("/v1/detect/batch", three, testing::kFormType);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.field("retry-after"), "1");
  EXPECT_EQ(server.post("/v1/classify?model=cls", picture).status, 200);
  EXPECT_EQ(first.receive().status, 200);
  EXPECT_EQ(metric(server, R"(marrow_requests_total{model="det",outcome="rejected"})"), 1);
  EXPECT_EQ(metric(server, R"(marrow_queue_depth{model="det"})"), 0);
}

TEST(Queue, DropsTheWorkOfClientsWhoLeft) {
  RunningServer server(patient(0.7));
  {
    HttpClient client(server.port());
    client.send(http_request("POST", "/v1/detect", drawn_jpeg(90, 90, 1)));
    ASSERT_TRUE(eventually(
        [&] { return metric(server, R"(marrow_decode_duration_seconds_count{model="det"})") == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return metric(server, R"(marrow_queue_depth{model="det"})") == 0; }));
  EXPECT_EQ(statistics(server)["execution_count"], 0);
  EXPECT_EQ(metric(server, R"(marrow_requests_total{model="det",outcome="client_error"})"), 1);
  EXPECT_TRUE(eventually([&] { return server.serving.server().connections() == 0; }));
}

TEST(Queue, GivesUpWhatWaitsTooLong) {
  ServingOptions options = patient(0.3);
  options.service.queue.longest_seconds = 0.1;
  RunningServer server(options);
  EXPECT_EQ(server.post("/v1/detect", drawn_jpeg(90, 90, 1)).status, 503);
  EXPECT_EQ(metric(server, R"(marrow_requests_total{model="det",outcome="timeout"})"), 1);
}

TEST(Serving, AnswersManyClientsAtOnce) {
  RunningServer server;
  std::vector<std::string> pictures, expected;
  for (uint64_t i = 0; i < 6; ++i) {
    pictures.push_back(drawn_jpeg(60 + 30 * static_cast<int>(i), 100, i));
    expected.push_back(server.post("/v1/detect", pictures.back()).body);
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (size_t c = 0; c < 8; ++c)
    clients.emplace_back([&, c] {
      HttpClient client(server.port());
      for (size_t i = 0; i < 20; ++i)
        if (client.ask(http_request("POST", "/v1/detect", pictures[(c + i) % 6])).body !=
            expected[(c + i) % 6])
          ++wrong;
    });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  // Every picture is counted by the time it is answered, as one of so many that ran at once.
  const json stats = statistics(server);
  EXPECT_EQ(stats["inference_count"], 6 + 8 * 20);
  int counted = 0;
  for (const json& each : stats["batch_stats"])
    counted += each["batch_size"].get<int>() * each["compute_infer"]["count"].get<int>();
  EXPECT_EQ(counted, 6 + 8 * 20);
}

TEST(Serving, DrainsWithoutLosingARequest) {
  ServingOptions options = patient(0.5);
  options.drain.delay = 1;
  RunningServer server(options);
  HttpClient busy(server.port());
  busy.send(http_request("POST", "/v1/detect", drawn_jpeg(90, 90, 1)));
  ASSERT_TRUE(eventually([&] { return server.serving.server().requests_in_flight() == 1; }));
  server.serving.drain();
  // Balancers are told first, and may still send for a while.
  EXPECT_TRUE(eventually([&] { return server.get("/v2/health/ready").status == 503; }));
  EXPECT_EQ(server.get("/v2/health/ready").body, R"({"ready":false})");
  EXPECT_EQ(server.get("/v2/health/live").status, 200);
  EXPECT_EQ(server.get("/v2/models/det/ready").status, 503);
  EXPECT_EQ(server.post("/v1/detect", drawn_jpeg(90, 90, 1)).status, 200);
  EXPECT_EQ(busy.receive().status, 200);
  server.join();
}

TEST(Serving, ReadsItsModelsAgainWithoutLosingARequest) {
  testing::TemporaryFolder folder;
  const auto file = folder.path() / "m.safetensors";
  std::filesystem::copy(testing::served_folder() / "det.safetensors", file);
  ServingOptions options = testing::served_options();
  options.models = {{"m", file.string()}};
  RunningServer server(options);
  const std::string picture = drawn_jpeg(90, 90, 1);
  const std::string before = server.post("/v1/detect", picture).body;
  std::atomic<bool> stop{false};
  std::atomic<int> lost{0}, answers{0};
  std::thread client([&] {
    HttpClient connection(server.port());
    while (!stop) {
      lost += connection.ask(http_request("POST", "/v1/detect", picture)).status != 200;
      ++answers;
    }
  });
  // Another network under the name.
  testing::write_network(folder.path() / "new.safetensors", "yolov8n-starnet_s1", {"x", "y"});
  std::filesystem::rename(folder.path() / "new.safetensors", file);
  server.serving.reload();
  EXPECT_TRUE(eventually([&] { return server.post("/v1/detect", picture).body != before; }));
  EXPECT_EQ(json::parse(server.get("/v2/models/m").body)["outputs"][0]["shape"], json({-1, 6, -1}));
  // A broken file leaves what is there.
  std::ofstream(file.string() + ".bad") << "broken";
  std::filesystem::rename(file.string() + ".bad", file);
  server.serving.reload();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(server.post("/v1/detect", picture).status, 200);
  stop = true;
  client.join();
  EXPECT_EQ(lost, 0);
  EXPECT_GT(answers, 3);
}

TEST(Serving, EndsWhereAModelCannotBeRead) {
  ServingOptions options = testing::served_options();
  options.models = {{"m", "/nowhere/m.safetensors"}};
  Serving serving(options);
  EXPECT_THROW(serving.run(), Error);
}

// What is being decoded then comes to the queue when that has gone.
TEST(Serving, EndsWhilePicturesAreDecoded) {
  ServingOptions options = patient(5);
  options.service.calls.infer.pixels = 20'000'000;
  options.drain.longest = 0;
  const std::string picture = drawn_jpeg(4000, 4000, 1);
  for (int i = 0; i < 3; ++i) {
    RunningServer server(options);
    HttpClient client(server.port());
    client.send(http_request("POST", "/v1/detect", picture));
    ASSERT_TRUE(eventually([&] { return metric(server, R"(marrow_queue_depth{model="det"})") == 1; }));
    server.serving.drain();
    server.join();
  }
}

// The models that are still being read when it ends may turn out to be broken.
TEST(Serving, EndsWhileItsModelsAreRead) {
  ServingOptions options = testing::served_options();
  options.models.push_back({"m", "/nowhere/m.safetensors"});
  Serving serving(options);
  serving.drain();
  EXPECT_NO_THROW(serving.run());
}

}  // namespace
}  // namespace marrow::serve
