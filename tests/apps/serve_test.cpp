// The program that becomes marrow-serve, and what both take.
#include <gtest/gtest.h>
#include <signal.h>

#include "apps/program.h"
#include "apps/server_process.h"
#include "command_line/parse.h"
#include "serving/serve_flags.h"
#include "support/http_client.h"
#include "support/message_of.h"

namespace marrow::cli {
namespace {

namespace testing = marrow::testing;
using testing::http_request;
using testing::ServerProcess;

// What the options of `words` become once they were said again.
ServeFlags said_again(const std::vector<std::string>& words) {
  ServeFlags first, second;
  Command given("marrow serve"), again("marrow serve");
  declare_serve_flags(given, first);
  declare_serve_flags(again, second);
  parse(given, words);
  parse(again, words_of(given));
  return second;
}

TEST(ServeCommand, SaysItsOptionsAgain) {
  const ServeFlags flags =
      said_again({"a=b.pt", "c.pt", "--port", "90", "--imgsz=320,640", "--no-rect", "--allowed-host", "x,y",
                  "--max-delay-ms=2.5", "--token-file", "a b", "max_batch=3", "--drain-delay", "0"});
  EXPECT_EQ(flags.models, (std::vector<std::string>{"a=b.pt", "c.pt"}));
  EXPECT_EQ(flags.port, 90);
  EXPECT_EQ(flags.network.imgsz, (std::vector<int>{320, 640}));
  EXPECT_FALSE(flags.network.rect);
  EXPECT_EQ(flags.allowed_hosts, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(flags.max_delay_ms, 2.5);
  EXPECT_EQ(flags.token_file, "a b");
  EXPECT_EQ(flags.max_batch, 3);
  EXPECT_EQ(flags.drain_delay, 0);
  EXPECT_EQ(said_again({"m.pt"}).port, std::nullopt);
  EXPECT_EQ(said_again({"m.pt"}).drain_delay, std::nullopt);
}

// Other commands know no pairs.
TEST(ServeCommand, TakesPairsWhereNoOptionHasTheName) {
  EXPECT_EQ(said_again({"street=m.pt"}).models, std::vector<std::string>{"street=m.pt"});
  EXPECT_EQ(said_again({"m.pt", "queue=3"}).queue, 3);
}

TEST(ServeCommand, ServesUntilItIsTold) {
  testing::TemporaryFolder folder;
  const std::string model = testing::write_detector(folder / "net.safetensors").string();
  ServerProcess server(
      {"street=" + model, "--port", "0", "--imgsz", "64", "--no-autotune", "--no-access-log"});
  const uint16_t port = server.port();
  ASSERT_GT(port, 0);
  testing::HttpClient client(port);
  EXPECT_EQ(client.ask(http_request("GET", "/v2/models/street/ready")).status, 200);
  const auto health =
      testing::run_program({"serve", "--health-check", "--port", std::to_string(port)}, {.network = true});
  EXPECT_EQ(health.code, 0) << health.err;
  server.signal(SIGHUP);
  EXPECT_SAYS(server.said_until("read again"), "the models were read again");
  EXPECT_EQ(client.ask(http_request("GET", "/v2/models/street/ready")).status, 200);
  server.signal(SIGTERM);
  EXPECT_EQ(server.exit_code(), 0);
  EXPECT_EQ(
      testing::run_program({"serve", "--health-check", "--port", std::to_string(port)}, {.network = true})
          .code,
      1);
}

// A phone in the same network needs an address of this machine's.
TEST(ServeCommand, SaysWhereOthersFindIt) {
  testing::TemporaryFolder folder;
  const std::string model = testing::write_detector(folder / "net.safetensors").string();
  ServerProcess server({model, "--host", "0.0.0.0", "--port", "0", "--imgsz", "64", "--no-autotune"});
  const std::string said = server.said_until("ready, on port");
  EXPECT_SAYS(said, "listening on http://localhost:");
  EXPECT_EQ(said.find("127.0.0.1"), std::string::npos) << said;
  server.signal(SIGTERM);
  EXPECT_EQ(server.exit_code(), 0);
}

TEST(ServeCommand, SaysWhatItCannotServe) {
  testing::TemporaryFolder folder;
  const std::string model = testing::write_detector(folder / "net.safetensors").string();
  struct Row {
    std::vector<std::string> words;
    int code;
    const char* says;
  };
  const Row rows[] = {
      {{}, 2, "no model is given"},
      {{"/nowhere.pt", "--port", "0"}, 1, "/nowhere.pt"},
      {{model, model}, 2, "two models are named net"},
      {{"a b=" + model}, 2, "wanted NAME=MODEL"},
      {{model, "--host", "example"}, 2, "no address"},
      {{model, "--token-file", "/nowhere"}, 1, "/nowhere"},
      {{model, "--allow-origin", "*"}, 2, "such as https://example.org"},
      {{model, "--prot", "3"}, 2, "Did you mean '--port'?"},
      {{folder.path().string() + "/none=x"}, 2, "wanted NAME=MODEL"},
  };
  for (const Row& row : rows) {
    std::vector<std::string> words = {"serve"};
    words.insert(words.end(), row.words.begin(), row.words.end());
    const auto result = testing::run_program(words, {.network = true});
    EXPECT_EQ(result.code, row.code) << result.err;
    EXPECT_SAYS(result.err, row.says);
  }
}

}  // namespace
}  // namespace marrow::cli
