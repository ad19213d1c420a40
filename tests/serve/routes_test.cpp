// Routes, health, metadata, and what stands on them.
#include <gtest/gtest.h>

#include "serve/running_server.h"
#include "support/expect_says.h"

namespace marrow::serve {
namespace {

using nlohmann::json;
using testing::http_request;
using testing::HttpAnswer;
using testing::shared_server;

TEST(Routes, AnswerByMethodAndPath) {
  struct Row {
    const char* method;
    const char* target;
    int status;
    const char* allow = "";
  };
  const Row rows[] = {
      {"GET", "/", 200},
      {"GET", "/v2", 200},
      {"GET", "/v2/", 200},
      {"HEAD", "/v2", 200},
      {"POST", "/v2", 405, "GET, HEAD"},
      {"GET", "/v2/health/live", 200},
      {"GET", "/v2/health/ready", 200},
      {"GET", "/v2/models", 200},
      {"GET", "/v2/models/det", 200},
      {"GET", "/v2/models/%64et", 200},
      {"GET", "/v2/models/det/versions/1", 200},
      {"GET", "/v2/models/det/versions/2", 404},
      {"GET", "/v2/models/det/versions/x/ready", 404},
      {"GET", "/v2/models/det/ready", 200},
      {"GET", "/v2/models/det/versions/1/ready", 200},
      {"GET", "/v2/models/det/config", 200},
      {"GET", "/v2/models/det/versions/1/config", 200},
      {"GET", "/v2/models/det/stats", 200},
      {"GET", "/v2/models/stats", 200},
      {"GET", "/v2/models/dot", 404},
      {"GET", "/v2/models/dot/ready", 404},
      {"GET", "/v2/models/det%2Fready", 404},
      {"GET", "/v2/models/det/infer", 405, "POST"},
      {"POST", "/v2/models/dot/infer", 404},
      {"POST", "/v2/models/det/versions/2/infer", 404},
      {"POST", "/v2/models/det/infer", 400},
      {"POST", "/v2/repository/index", 200},
      {"GET", "/v2/repository/index", 405, "POST"},
      {"POST", "/v2/repository/models/det/load", 403},
      {"POST", "/v2/repository/models/det/unload", 403},
      {"GET", "/v2/systemsharedmemory/status", 404},
      {"POST", "/v2/systemsharedmemory/region/x/register", 404},
      {"GET", "/v2/trace/setting", 404},
      {"GET", "/metrics", 200},
      {"DELETE", "/metrics", 405, "GET, HEAD"},
      {"GET", "/v1/detect", 405, "POST"},
      {"PUT", "/v1/detect", 405, "POST"},
      {"OPTIONS", "/v1/detect", 405, "POST"},
      {"GET", "/../../etc/passwd", 404},
      {"GET", "/index.html", 404},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(row.method) + " " + row.target);
    testing::HttpClient client(shared_server().port());
    client.send(http_request(row.method, row.target));
    const HttpAnswer answer = client.receive(std::string_view(row.method) == "HEAD");
    EXPECT_EQ(answer.status, row.status) << answer.body;
    EXPECT_EQ(answer.field("allow"), row.allow);
    if (row.status >= 400) {
      EXPECT_TRUE(json::parse(answer.body)["error"].is_string());
    }
  }
}

TEST(Routes, WantALengthWhereTheyWantABody) {
  const HttpAnswer answer = shared_server().ask("POST /v1/detect HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(answer.status, 411);
  EXPECT_EQ(shared_server().ask("POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
}

TEST(Routes, NameTheNearestModel) {
  EXPECT_SAYS(shared_server().get("/v2/models/dte").body, "Did you mean 'det'?");
}

TEST(Routes, SaySafeThingsOfThemselves) {
  const HttpAnswer page = shared_server().get("/");
  EXPECT_EQ(page.field("content-type"), "text/html; charset=utf-8");
  EXPECT_SAYS(page.field("content-security-policy"), "default-src 'self'");
  EXPECT_SAYS(page.field("content-security-policy"), "frame-ancestors 'none'");
  EXPECT_EQ(page.field("x-content-type-options"), "nosniff");
  EXPECT_EQ(page.field("referrer-policy"), "no-referrer");
  EXPECT_EQ(page.field("cross-origin-resource-policy"), "same-origin");
}

TEST(Health, IsJson) {
  EXPECT_EQ(shared_server().get("/v2/health/live").body, R"({"live":true})");
  EXPECT_EQ(shared_server().get("/v2/health/ready").body, R"({"ready":true})");
  EXPECT_EQ(json::parse(shared_server().get("/v2/models/det/ready").body),
            json({{"name", "det"}, {"ready", true}}));
}

TEST(Metadata, DescribesServerAndModels) {
  EXPECT_EQ(json::parse(shared_server().get("/v2").body),
            json({{"name", "marrow"},
                  {"version", "1.2.3"},
                  {"extensions",
                   {"binary_tensor_data", "model_configuration", "statistics", "model_repository",
                    "parameters"}}}));
  EXPECT_EQ(json::parse(shared_server().get("/v2/models").body), json({{"models", {"det", "cls", "tiles"}}}));
  const json det = json::parse(shared_server().get("/v2/models/det").body);
  EXPECT_EQ(det["versions"], json::array({"1"}));
  EXPECT_EQ(det["inputs"],
            json::array({{{"name", "images"}, {"datatype", "FP32"}, {"shape", {-1, 3, -1, -1}}}}));
  EXPECT_EQ(det["outputs"],
            json::array({{{"name", "output0"}, {"datatype", "FP32"}, {"shape", {-1, 7, -1}}}}));
  const json cls = json::parse(shared_server().get("/v2/models/cls").body);
  EXPECT_EQ(cls["inputs"][0]["shape"], json({-1, 3, 96, 96}));
  EXPECT_EQ(cls["outputs"],
            json::array({{{"name", "probabilities"}, {"datatype", "FP32"}, {"shape", {-1, 4}}}}));
}

TEST(Metadata, GivesTheConfigurationOfTriton) {
  const json config = json::parse(shared_server().get("/v2/models/det/config").body);
  EXPECT_EQ(config["max_batch_size"], 8);
  EXPECT_EQ(config["input"],
            json::array({{{"name", "images"}, {"data_type", "TYPE_FP32"}, {"dims", {3, -1, -1}}}}));
  EXPECT_EQ(config["output"],
            json::array({{{"name", "output0"}, {"data_type", "TYPE_FP32"}, {"dims", {7, -1}}}}));
  // A literal of Python.
  EXPECT_EQ(config["parameters"]["metadata"]["string_value"],
            "{'task': 'detect', 'stride': 32, 'batch': 1, 'channels': 3, 'imgsz': [96, 96], 'names': {0: "
            "'red box', 1: "
            "'it\\'s \"green\"', 2: 'bar'}, 'end2end': False, 'args': {'dynamic': True}}");
}

TEST(Metadata, ListsTheRepository) {
  const json all = json::parse(shared_server().post("/v2/repository/index", "").body);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], json({{"name", "det"}, {"version", "1"}, {"state", "READY"}, {"reason", ""}}));
  EXPECT_EQ(json::parse(shared_server().post("/v2/repository/index", "{\"ready\":true}").body).size(), 3u);
  EXPECT_EQ(shared_server().post("/v2/repository/index", "{}").status, 200);
  for (const char* body : {"[]", "{\"ready\":1}", "x", "3"})
    EXPECT_EQ(shared_server().post("/v2/repository/index", body).status, 400) << body;
}

TEST(Models, AreNamedByTheirFilesOrByTheUser) {
  const auto sources = parse_model_sources({"dir/best.safetensors", "street=a=b.pt", "./x=y/z.onnx"});
  EXPECT_EQ(sources[0].name, "best");
  EXPECT_EQ(sources[1].name, "street");
  EXPECT_EQ(sources[1].path, "a=b.pt");
  EXPECT_EQ(sources[2].name, "z");
  for (const char* word : {"=a.pt", "a b=c.pt", "\xc3\xa4=c.pt", "a=", "..=c.pt"})
    EXPECT_THROW(parse_model_sources({word}), Error) << word;
  EXPECT_THROW(parse_model_sources({"a/best.pt", "b/best.pt"}), Error);
}

TEST(Models, AreFoundInAFolder) {
  testing::TemporaryFolder folder;
  std::filesystem::copy(testing::served_folder() / "det.safetensors", folder.path() / "model.safetensors");
  Models models({{"m", folder.path().string()}}, testing::served_options().network);
  models.load();
  EXPECT_EQ(models.find("m")->file(), (folder.path() / "model.safetensors").string());
  std::filesystem::copy(testing::served_folder() / "cls.safetensors", folder.path() / "other.safetensors");
  EXPECT_THROW(models.load(), Error);
  EXPECT_EQ(models.find("")->name(), "m");
}

}  // namespace
}  // namespace marrow::serve
