// Prometheus's text format, read strictly.
#include "marrow/serve/metrics.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "serve/running_server.h"

namespace marrow::serve {
namespace {

struct Family {
  std::string type;
  std::map<std::string, double> samples;  // by name and labels
};

// Fails where the text is not as section "text format" of Prometheus's documentation has it.
std::map<std::string, Family> parsed(const std::string& text) {
  EXPECT_TRUE(text.ends_with('\n'));
  std::map<std::string, Family> families;
  std::string current;
  const std::regex help("# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) [^\n]+"),
      type("# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)"),
      sample(
          R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)+\})? ([-+0-9.eE]+|[+-]Inf|NaN))re");
  std::istringstream lines(text);
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, match, help)) {
      current = match[1];
      EXPECT_FALSE(families.contains(current)) << line;
    } else if (std::regex_match(line, match, type)) {
      EXPECT_EQ(match[1], current);
      families[current].type = match[2];
    } else if (std::regex_match(line, match, sample)) {
      const std::string name = match[1];
      EXPECT_TRUE(name == current ||
                  (families[current].type == "histogram" &&
                   (name == current + "_bucket" || name == current + "_sum" || name == current + "_count")))
          << line;
      EXPECT_TRUE(families[current].samples.emplace(name + match[2].str(), std::stod(match[3])).second)
          << line;
    } else {
      ADD_FAILURE() << "no line of the format: " << line;
    }
  }
  return families;
}

TEST(Metrics, AreWellFormed) {
  testing::RunningServer server;
  EXPECT_EQ(server.post("/v1/detect", testing::drawn_jpeg(90, 90, 1)).status, 200);
  EXPECT_EQ(server.post("/v1/detect", "x").status, 400);
  server.get("/a%22b%0Ac");
  server.ask("nonsense\r\n\r\n");
  const testing::HttpAnswer answer = server.get("/metrics");
  EXPECT_EQ(answer.field("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  auto families = parsed(answer.body);
  for (const char* name :
       {"marrow_http_requests_total", "marrow_http_request_duration_seconds", "marrow_http_connections",
        "marrow_http_requests_in_flight", "marrow_requests_total", "marrow_request_duration_seconds",
        "marrow_queue_duration_seconds", "marrow_inference_duration_seconds",
        "marrow_decode_duration_seconds", "marrow_batch_size", "marrow_queue_depth", "marrow_model_info",
        "marrow_build_info", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
        "process_max_fds", "process_start_time_seconds"})
    EXPECT_TRUE(families.contains(name)) << name;
  const auto& requests = families["marrow_http_requests_total"].samples;
  EXPECT_EQ(requests.at(R"(marrow_http_requests_total{route="/v1/detect",code="200"})"), 1);
  EXPECT_EQ(requests.at(R"(marrow_http_requests_total{route="/v1/detect",code="400"})"), 1);
  // No name of a request becomes a label.
  EXPECT_EQ(requests.at(R"(marrow_http_requests_total{route="other",code="400"})"), 1);
  EXPECT_EQ(requests.at(R"(marrow_http_requests_total{route="malformed",code="400"})"), 1);
  const auto& models = families["marrow_requests_total"].samples;
  EXPECT_EQ(models.at(R"(marrow_requests_total{model="det",outcome="ok"})"), 1);
  EXPECT_EQ(models.at(R"(marrow_requests_total{model="det",outcome="client_error"})"), 1);
  EXPECT_GT(families["process_start_time_seconds"].samples.begin()->second, 1.6e9);
  EXPECT_GT(families["process_resident_memory_bytes"].samples.begin()->second, 1e6);
}

TEST(Metrics, CountIntoRisingBuckets) {
  Histogram histogram({0.1, 1});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) histogram.add(value);
  MetricsText text;
  text.family("a_seconds", "Back\\slash and\nline.", "histogram");
  text.histogram({{"m", "a\"b\\c\nd"}}, histogram);
  EXPECT_EQ(std::move(text).text(),
            "# HELP a_seconds Back\\\\slash and\\nline.\n# TYPE a_seconds histogram\n"
            "a_seconds_bucket{m=\"a\\\"b\\\\c\\nd\",le=\"0.1\"} 2\n"
            "a_seconds_bucket{m=\"a\\\"b\\\\c\\nd\",le=\"1\"} 3\n"
            "a_seconds_bucket{m=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 4\n"
            "a_seconds_sum{m=\"a\\\"b\\\\c\\nd\"} 7.65\n"
            "a_seconds_count{m=\"a\\\"b\\\\c\\nd\"} 4\n");
}

TEST(AccessLog, EscapesWhatItSays) {
  std::FILE* file = std::tmpfile();
  {
    AccessLog log(file);
    log.add({.peer = "127.0.0.1",
             .method = "GET",
             .target = "/a\"\\\n\xff" + std::string(500, 'x'),
             .route = "other",
             .status = 404,
             .bytes_in = 1,
             .bytes_out = 2,
             .seconds = 0.0015});
  }
  std::rewind(file);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  ASSERT_TRUE(text.ends_with("}\n"));
  const auto line = nlohmann::json::parse(text);
  EXPECT_EQ(line["target"], "/a%22%5C%0A%FF" + std::string(200 - 14, 'x'));
  EXPECT_EQ(line["status"], 404);
  EXPECT_EQ(line["ms"], 1.5);
  EXPECT_EQ(line["time"].get<std::string>().size(), 24u);
}

}  // namespace
}  // namespace marrow::serve
