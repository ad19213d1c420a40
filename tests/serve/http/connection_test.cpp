// Connections over time: slow and leaving clients, limits, pipelines, draining.
#include <gtest/gtest.h>

#include "serve/http/echo_server.h"
#include "support/http_client.h"

namespace marrow::serve {
namespace {

using testing::EchoServer;
using testing::eventually;
using testing::http_request;
using testing::HttpAnswer;
using testing::HttpClient;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TEST(Connection, AnswersPipelinedRequestsInOrder) {
  EchoServer server;
  HttpClient client(server.server.port());
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += http_request("POST", "/echo", "body " + std::to_string(i));
  client.send(requests);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.receive().body, "body " + std::to_string(i));
}

TEST(Connection, AnswersAllThatAClientSentBeforeItsEnd) {
  EchoServer server;
  HttpClient client(server.server.port());
  client.send(http_request("POST", "/echo", "a") + http_request("POST", "/echo", "b") + "GET /hel");
  client.finish();
  EXPECT_EQ(client.receive().body, "a");
  EXPECT_EQ(client.receive().body, "b");
  EXPECT_EQ(client.receive().status, 400);
  EXPECT_TRUE(client.is_closed());
}

TEST(Connection, SaysContinueWhereItIsExpected) {
  EchoServer server;
  HttpClient client(server.server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100);
  EXPECT_EQ(client.ask("abcd").body, "abcd");
}

TEST(Connection, SendsNoBodyForHead) {
  EchoServer server;
  HttpClient client(server.server.port());
  client.send(http_request("HEAD", "/hello"));
  const HttpAnswer answer = client.receive(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-length"), "5");
  EXPECT_EQ(client.ask(http_request("GET", "/hello")).body, "hello");
}

TEST(Connection, EndsAHeadThatTakesTooLong) {
  ServerOptions options;
  options.limits.head_seconds = 0.3;
  EchoServer server(options);
  HttpClient client(server.server.port());
  const auto start = Clock::now();
  // A byte now and then does not help.
  for (int i = 0; i < 100 && client.send(i == 0 ? "G" : "E"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (server.application.last_status != 0) break;
  }
  EXPECT_EQ(client.receive().status, 408);
  EXPECT_TRUE(client.is_closed());
  EXPECT_GE(seconds_since(start), 0.25);
  EXPECT_LT(seconds_since(start), 3);
}

TEST(Connection, EndsABodyThatTakesTooLong) {
  ServerOptions options;
  options.limits.request_seconds = 0.4;
  EchoServer server(options);
  HttpClient client(server.server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
  for (int i = 0; i < 100 && client.send("a"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (server.application.last_status != 0) break;
  }
  EXPECT_EQ(client.receive().status, 408);
  EXPECT_TRUE(client.is_closed());
}

TEST(Connection, ClosesWhenIdle) {
  ServerOptions options;
  options.limits.idle_seconds = 0.2;
  EchoServer server(options);
  HttpClient client(server.server.port());
  EXPECT_EQ(client.ask(http_request("GET", "/hello")).status, 200);
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(server.application.requests, 1u);
}

TEST(Connection, ClosesOneThatNeverSpeaks) {
  ServerOptions options;
  options.limits.head_seconds = 0.2;
  EchoServer server(options);
  HttpClient client(server.server.port());
  EXPECT_TRUE(client.is_closed());
}

TEST(Connection, ClosesOnAClientThatDoesNotRead) {
  ServerOptions options;
  options.limits.write_seconds = 0.3;
  EchoServer server(options);
  HttpClient client(server.server.port(), 4096);
  client.send(http_request("GET", "/big"));
  EXPECT_TRUE(eventually([&] { return server.server.connections() == 0; }));
}

TEST(Connection, TellsWhenTheClientLeaves) {
  EchoServer server;
  {
    HttpClient client(server.server.port());
    client.send(http_request("GET", "/wait"));
    ASSERT_TRUE(eventually([&] { return server.application.waiting() == 1; }));
    EXPECT_FALSE(server.application.first_left());
  }
  EXPECT_TRUE(eventually([&] { return server.application.first_left(); }));
}

// One that closes its own side alone still reads.
TEST(Connection, AnswersAClientThatHasSentAll) {
  EchoServer server;
  HttpClient client(server.server.port());
  client.send(http_request("POST", "/echo", "abcd"));
  client.finish();
  EXPECT_EQ(client.receive().body, "abcd");
  EXPECT_TRUE(client.is_closed());
}

TEST(Connection, TakesNoMoreThanItsLimit) {
  ServerOptions options;
  options.limits.connections = 2;
  EchoServer server(options);
  HttpClient first(server.server.port()), second(server.server.port());
  EXPECT_EQ(first.ask(http_request("GET", "/hello")).status, 200);
  EXPECT_EQ(second.ask(http_request("GET", "/hello")).status, 200);
  HttpClient third(server.server.port());
  third.send(http_request("GET", "/hello"));
  EXPECT_EQ(third.receive(false, 0.3).status, 0);
  first.leave();
  EXPECT_EQ(third.receive().status, 200);
}

TEST(Connection, RefusesBodiesBeyondTheBudgetOfAll) {
  ServerOptions options;
  options.limits.bodies = 1000;
  EchoServer server(options);
  HttpClient first(server.server.port()), second(server.server.port());
  const std::string body(800, 'a');
  first.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 800\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return server.server.body_bytes() == 800; }));
  const HttpAnswer refused = second.ask(http_request("POST", "/echo", body));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.field("retry-after"), "1");
  EXPECT_EQ(first.ask(body).body, body);
  EXPECT_TRUE(eventually([&] { return server.server.body_bytes() == 0; }));
  HttpClient third(server.server.port());
  EXPECT_EQ(third.ask(http_request("POST", "/echo", body)).status, 200);
}

TEST(Connection, FinishesWhatIsUnderWayWhenDrained) {
  EchoServer server;
  HttpClient busy(server.server.port()), idle(server.server.port());
  EXPECT_EQ(idle.ask(http_request("GET", "/hello")).status, 200);
  busy.send(http_request("GET", "/wait"));
  ASSERT_TRUE(eventually([&] { return server.application.waiting() == 1; }));
  server.server.drain(0, 10);
  EXPECT_TRUE(idle.is_closed());
  server.application.release();
  const HttpAnswer answer = busy.receive();
  EXPECT_EQ(answer.body, "released");
  EXPECT_EQ(answer.field("connection"), "close");
}

TEST(Connection, AnswersPreflightsOfAllowedOriginsAlone) {
  ServerOptions options;
  options.origins.allowed_origins = {"https://app.example"};
  EchoServer server(options);
  const auto preflight = [&](const std::string& fields) {
    HttpClient client(server.server.port());
    client.send(http_request("OPTIONS", "/echo", {}, fields + "Access-Control-Request-Method: POST\r\n"));
    return client.receive();
  };
  const HttpAnswer allowed = preflight("Origin: https://app.example\r\n");
  EXPECT_EQ(allowed.status, 204);
  EXPECT_EQ(allowed.field("access-control-allow-origin"), "https://app.example");
  EXPECT_FALSE(preflight("Origin: https://evil.example\r\n").has("access-control-allow-origin"));
  const HttpAnswer lan =
      preflight("Origin: https://app.example\r\nAccess-Control-Request-Private-Network: true\r\n");
  EXPECT_FALSE(lan.has("access-control-allow-private-network"));
  HttpClient client(server.server.port());
  const HttpAnswer answer = client.ask(http_request("POST", "/echo", "a", "Origin: https://app.example\r\n"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("vary"), "Origin");
}

TEST(Connection, WantsTheToken) {
  ServerOptions options;
  options.origins.token = "secret";
  EchoServer server(options);
  const auto status = [&](const std::string& fields) {
    HttpClient client(server.server.port());
    return client.ask(http_request("GET", "/hello", {}, fields)).status;
  };
  EXPECT_EQ(status(""), 401);
  EXPECT_EQ(status("Authorization: Bearer secret\r\n"), 200);
  EXPECT_EQ(status("authorization: bearer secret\r\n"), 200);
  EXPECT_EQ(status("Authorization: Bearer secre\r\n"), 401);
  EXPECT_EQ(status("Authorization: Bearer secretsecret\r\n"), 401);
  // As browsers send it: any name and the token as password, in base64.
  EXPECT_EQ(status("Authorization: Basic bWU6c2VjcmV0\r\n"), 200);  // me:secret
  EXPECT_EQ(status("authorization: basic OnNlY3JldA==\r\n"), 200);  // :secret
  EXPECT_EQ(status("Authorization: Basic bWU6c2VjcmU=\r\n"), 401);  // me:secre
  EXPECT_EQ(status("Authorization: Basic c2VjcmV0\r\n"), 401);      // secret
  EXPECT_EQ(status("Authorization: Basic secret:me!==\r\n"), 401);  // no base64
  EXPECT_EQ(status("Authorization: Basic ====\r\n"), 401);
  EXPECT_EQ(status("Authorization: Basic \r\n"), 401);
  EXPECT_EQ(status("Authorization: Basic secret\r\n"), 401);
  EXPECT_EQ(status("Authorization: Bearer secret\r\nAuthorization: Bearer x\r\n"), 401);
  HttpClient client(server.server.port());
  EXPECT_EQ(client.ask(http_request("GET", "/hello")).field("www-authenticate"),
            "Bearer, Basic realm=\"marrow\"");
}

// A browser adds the name and password that its reader once gave to what any page makes it send.
TEST(Connection, ATokenInABrowserIsOfNoUseToOtherPages) {
  ServerOptions options;
  options.origins.token = "secret";
  EchoServer server(options);
  const auto post = [&](const std::string& origin) {
    HttpClient client(server.server.port());
    return client.ask(http_request("POST", "/echo", "a",
                                   "Authorization: Basic bWU6c2VjcmV0\r\nOrigin: " + origin + "\r\n"));
  };
  EXPECT_EQ(post("http://localhost").status, 200);
  const HttpAnswer refused = post("http://evil.example");
  EXPECT_EQ(refused.status, 403);
  EXPECT_FALSE(refused.has("www-authenticate"));
}

// Hosts are checked elsewhere than on loopback only where names are given.
TEST(Connection, TakesAnyHostWhereItListensEverywhere) {
  ServerOptions options;
  options.address = "0.0.0.0";
  EchoServer server(options);
  HttpClient client(server.server.port());
  EXPECT_EQ(client.ask("GET /hello HTTP/1.1\r\nHost: 10.2.3.4:8080\r\n\r\n").status, 200);
}

}  // namespace
}  // namespace marrow::serve
