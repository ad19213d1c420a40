// Odd and hostile requests, as bytes, and what they are answered with.
#include <gtest/gtest.h>

#include <vector>

#include "serve/http/echo_server.h"
#include "support/http_client.h"

namespace marrow::serve {
namespace {

using testing::EchoServer;
using testing::HttpAnswer;
using testing::HttpClient;

constexpr const char* kHello = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";

// What becomes of the connection: a request behind this one is answered, or it is closed.
enum class Then { kStays, kCloses };

struct Row {
  const char* name;
  std::string request;
  int status;
  Then then;
};

std::string get(const std::string& fields, const std::string& target = "/hello") {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}

std::string post(const std::string& fields, const std::string& body = "") {
  return "POST /echo HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n" + body;
}

std::string chunked(const std::string& body) {
  return post("Transfer-Encoding: chunked\r\n", body);
}

std::vector<Row> rows() {
  using namespace std::string_literals;
  const std::string many(70'000, 'a');
  return {
      // The first line.
      {"plain", kHello, 200, Then::kStays},
      {"an empty line before it", "\r\n"s + kHello, 200, Then::kStays},
      {"two empty lines before it", "\r\n\r\n"s + kHello, 400, Then::kCloses},
      {"absolute form", get("", "http://localhost/hello"), 200, Then::kStays},
      {"absolute form of a foreign host", get("", "http://evil.example/hello"), 421, Then::kStays},
      {"absolute form without a host", get("", "http:///hello"), 400, Then::kStays},
      {"no version", "GET /hello\r\n\r\n", 400, Then::kCloses},
      {"two blanks", "GET  /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"a blank behind the version", "GET /hello HTTP/1.1 \r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"a blank before the method", " GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"a tab for a blank", "GET\t/hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"a blank in the target", "GET /hel lo HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"an empty target", "GET  HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"a target without a slash", get("", "hello"), 400, Then::kStays},
      {"a fragment", get("", "/hello#x"), 400, Then::kStays},
      {"a method that is no token", "GE(T /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"a long method", std::string(40, 'A') + " /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 400,
       Then::kCloses},
      {"a byte that is not ASCII", "GET /h\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"NUL in the target", "GET /h\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"s, 400, Then::kCloses},
      {"an escaped NUL", get("", "/hello%00"), 400, Then::kStays},
      {"a broken escape", get("", "/hello%4"), 400, Then::kStays},
      {"an escape that is no UTF-8", get("", "/hello%ff"), 400, Then::kStays},
      {"HTTP/1.2", "GET /hello HTTP/1.2\r\nHost: localhost\r\n\r\n", 505, Then::kCloses},
      {"HTTP/2.0", "GET /hello HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, Then::kCloses},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, Then::kCloses},
      {"lower case", "GET /hello http/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kCloses},
      {"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"s, 400, Then::kCloses},
      {"a long line that ends", "GET /" + many + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, Then::kCloses},
      {"a long line without end", "GET /" + many, 414, Then::kCloses},
      {"an unknown path", get("", "/nothing"), 404, Then::kStays},
      {"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, Then::kStays},
      {"CONNECT", "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, Then::kStays},
      // Header lines.
      {"a blank before the colon", get("A : b\r\n"), 400, Then::kCloses},
      {"no colon", get("Ab\r\n"), 400, Then::kCloses},
      {"no name", get(": b\r\n"), 400, Then::kCloses},
      {"a folded line", get("A: b\r\n c\r\n"), 400, Then::kCloses},
      {"a folded first line", "GET /hello HTTP/1.1\r\n Host: localhost\r\n\r\n", 400, Then::kCloses},
      {"a bare CR", get("A: b\rc\r\n"), 400, Then::kCloses},
      {"a bare LF", get("A: b\nC: d\r\n"), 400, Then::kCloses},
      {"NUL in a value", get("A: b\0c\r\n"s), 400, Then::kCloses},
      {"another control character", get("A: b\x01\r\n"), 400, Then::kCloses},
      {"DEL", get("A: b\x7f\r\n"), 400, Then::kCloses},
      {"a tab in a value", get("A: b\tc\r\n"), 200, Then::kStays},
      {"Latin 1 in a value", get("A: b\xe4\r\n"), 200, Then::kStays},
      {"an empty value", get("A:\r\n"), 200, Then::kStays},
      {"a long header", get("A: " + many + "\r\n"), 431, Then::kCloses},
      {"a long header without end", "GET /hello HTTP/1.1\r\nHost: localhost\r\nA: " + many, 431,
       Then::kCloses},
      {"many lines",
       [] {
         std::string lines;
         for (int i = 0; i < 100; ++i) lines += "A: b\r\n";
         return get(lines);
       }(),
       431, Then::kCloses},
      {"as many lines as are allowed",
       [] {
         std::string lines;
         for (int i = 0; i < 99; ++i) lines += "A: b\r\n";
         return get(lines);
       }(),
       200, Then::kStays},
      // Host.
      {"no Host", "GET /hello HTTP/1.1\r\n\r\n", 400, Then::kCloses},
      {"no Host in 1.0", "GET /hello HTTP/1.0\r\n\r\n", 200, Then::kCloses},
      {"1.0 that stays", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, Then::kStays},
      {"two Hosts", get("Host: localhost\r\n"), 400, Then::kCloses},
      {"an empty Host", "GET /hello HTTP/1.1\r\nHost:\r\n\r\n", 421, Then::kStays},
      {"a foreign Host", "GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, Then::kStays},
      {"a foreign Host with our name in it", "GET /hello HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n",
       421, Then::kStays},
      {"a Host with a user", "GET /hello HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 400, Then::kStays},
      {"a Host with a path", "GET /hello HTTP/1.1\r\nHost: localhost/x\r\n\r\n", 400, Then::kStays},
      {"a Host with a blank", "GET /hello HTTP/1.1\r\nHost: local host\r\n\r\n", 400, Then::kStays},
      {"a Host with a port that is none", "GET /hello HTTP/1.1\r\nHost: localhost:8o\r\n\r\n", 400,
       Then::kStays},
      {"a Host with a port", "GET /hello HTTP/1.1\r\nHost: LOCALHOST:1234\r\n\r\n", 200, Then::kStays},
      {"an address as Host", "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:1234\r\n\r\n", 200, Then::kStays},
      {"an IPv6 address as Host", "GET /hello HTTP/1.1\r\nHost: [::1]:1234\r\n\r\n", 200, Then::kStays},
      {"a foreign IPv6 address", "GET /hello HTTP/1.1\r\nHost: [::2]\r\n\r\n", 421, Then::kStays},
      {"an IPv6 address that does not end", "GET /hello HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, Then::kStays},
      // Bodies with a length.
      {"a body", post("Content-Length: 4\r\n", "abcd"), 200, Then::kStays},
      {"a body of a GET", get("Content-Length: 4\r\n") + "abcd", 200, Then::kStays},
      {"two equal lengths", post("Content-Length: 4\r\nContent-Length: 4\r\n", "abcd"), 200, Then::kStays},
      {"two lengths", post("Content-Length: 4\r\nContent-Length: 5\r\n", "abcde"), 400, Then::kCloses},
      {"a list of lengths", post("Content-Length: 4, 4\r\n", "abcd"), 400, Then::kCloses},
      {"a negative length", post("Content-Length: -4\r\n", "abcd"), 400, Then::kCloses},
      {"a length with a sign", post("Content-Length: +4\r\n", "abcd"), 400, Then::kCloses},
      {"a hexadecimal length", post("Content-Length: 0x4\r\n", "abcd"), 400, Then::kCloses},
      {"an empty length", post("Content-Length:\r\n", "abcd"), 400, Then::kCloses},
      {"a length with a blank in it", post("Content-Length: 4 4\r\n", "abcd"), 400, Then::kCloses},
      {"a length with zeros before it", post("Content-Length: 0004\r\n", "abcd"), 200, Then::kStays},
      {"a length that overflows", post("Content-Length: 18446744073709551620\r\n", "abcd"), 413,
       Then::kCloses},
      {"a length above the limit", post("Content-Length: 100001\r\n", "abcd"), 413, Then::kCloses},
      {"a long body that is not waited for", post("Content-Length: 100001\r\nExpect: 100-continue\r\n"), 413,
       Then::kCloses},
      {"a length beside chunks", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       400, Then::kCloses},
      // Chunked bodies.
      {"chunks", chunked("3\r\nabc\r\n00000001\r\nd\r\n0\r\n\r\n"), 200, Then::kStays},
      {"chunks in upper case", post("Transfer-Encoding: Chunked\r\n", "A\r\n0123456789\r\n0\r\n\r\n"), 200,
       Then::kStays},
      {"chunks with extensions", chunked("3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n"), 200, Then::kStays},
      {"chunks with a trailer", chunked("3\r\nabc\r\n0\r\nA: b\r\n\r\n"), 200, Then::kStays},
      {"no chunks", chunked("0\r\n\r\n"), 200, Then::kStays},
      {"gzip as coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, Then::kCloses},
      {"identity as coding", post("Transfer-Encoding: identity\r\n", "0\r\n\r\n"), 501, Then::kCloses},
      {"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       501, Then::kCloses},
      {"chunked with a byte before it", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501,
       Then::kCloses},
      {"an empty coding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), 501, Then::kCloses},
      {"chunks in 1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
       Then::kCloses},
      {"a size with a sign", chunked("+3\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a negative size", chunked("-3\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a size with a blank before it", chunked(" 3\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a size with a blank behind it", chunked("3 \r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"an empty size", chunked("\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a size of nine digits", chunked("000000003\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a size of seventeen digits", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a size above the limit", chunked("fffffff\r\nabc"), 413, Then::kCloses},
      {"chunks above the limit", chunked("ea60\r\n" + std::string(60'000, 'a') + "\r\nea60\r\n"), 413,
       Then::kCloses},
      {"a chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a chunk without CR LF", chunked("3\r\nabc3\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a chunk with LF", chunked("3\nabc\n0\n\n"), 400, Then::kCloses},
      {"a long extension", chunked("3;" + many + "\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"an extension without end", chunked("3;" + many), 400, Then::kCloses},
      {"a control character in an extension", chunked("3;a\x01\r\nabc\r\n0\r\n\r\n"), 400, Then::kCloses},
      {"a long trailer", chunked("0\r\nA: " + many + "\r\n\r\n"), 431, Then::kCloses},
      {"a trailer of many lines",
       [] {
         std::string lines;
         for (int i = 0; i < 101; ++i) lines += "A: b\r\n";
         return chunked("0\r\n" + lines + "\r\n");
       }(),
       431, Then::kCloses},
      {"a malformed trailer", chunked("0\r\nA : b\r\n\r\n"), 400, Then::kCloses},
      // What is expected.
      {"an unknown expectation", post("Content-Length: 4\r\nExpect: tea\r\n", "abcd"), 417, Then::kCloses},
      {"Connection: close", get("Connection: close\r\n"), 200, Then::kCloses},
      {"Connection: a list", get("Connection: foo, Close\r\n"), 200, Then::kCloses},
      {"Upgrade", get("Connection: Upgrade\r\nUpgrade: h2c\r\n"), 200, Then::kStays},
      {"a short body of a refused request",
       "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nabcd", 404, Then::kStays},
      {"a refused request that waits",
       "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
       "Expect: 100-continue\r\n\r\n",
       404, Then::kCloses},
      // Pages of other sites.
      {"a page's request from elsewhere", post("Origin: http://evil.example\r\nContent-Length: 0\r\n"), 403,
       Then::kStays},
      {"a page without an origin", post("Origin: null\r\nContent-Length: 0\r\n"), 403, Then::kStays},
      {"our own page", post("Origin: http://localhost\r\nContent-Length: 0\r\n"), 200, Then::kStays},
      {"a page of another port", post("Origin: http://localhost:3000\r\nContent-Length: 0\r\n"), 403,
       Then::kStays},
      {"a page of another scheme", post("Origin: https://localhost\r\nContent-Length: 0\r\n"), 403,
       Then::kStays},
      {"two origins", post("Origin: http://localhost\r\nOrigin: http://localhost\r\nContent-Length: 0\r\n"),
       403, Then::kStays},
      {"a form of another site", post("Sec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n"), 403,
       Then::kStays},
      {"a form of our own", post("Sec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n"), 200, Then::kStays},
      {"a picture on another site's page",
       get("Origin: http://evil.example\r\nSec-Fetch-Site: cross-site\r\n"), 200, Then::kStays},
  };
}

ServerOptions small_server() {
  ServerOptions options;
  options.limits.body = 100'000;
  return options;
}

void expect_row(const Row& row, EchoServer& server, size_t step) {
  SCOPED_TRACE(row.name);
  HttpClient client(server.server.port());
  if (step == 0) {
    client.send(row.request);
  } else {
    // What was refused already need not be sent.
    for (size_t at = 0; at < row.request.size(); at += step)
      if (!client.send(std::string_view(row.request).substr(at, step))) break;
  }
  const HttpAnswer answer = client.receive();
  EXPECT_EQ(answer.status, row.status) << answer.body;
  if (answer.status >= 400) {
    EXPECT_TRUE(answer.body.starts_with("{\"error\":\"")) << answer.body;
    EXPECT_EQ(answer.field("content-type"), "application/json");
  }
  EXPECT_EQ(answer.field("x-content-type-options"), "nosniff");
  EXPECT_FALSE(answer.has("access-control-allow-origin"));
  EXPECT_EQ(answer.field("connection") == "close", row.then == Then::kCloses);
  if (row.then == Then::kCloses) {
    EXPECT_TRUE(client.is_closed());
    return;
  }
  EXPECT_EQ(client.ask(kHello).body, "hello");
}

TEST(HostileRequests, AreAnsweredByTheRule) {
  EchoServer server(small_server());
  for (const Row& row : rows()) expect_row(row, server, 0);
}

// However the bytes are cut into packets.
TEST(HostileRequests, AreAnsweredByTheRuleAByteAtATime) {
  EchoServer server(small_server());
  for (const Row& row : rows())
    if (row.request.size() < 1000) expect_row(row, server, 1);
}

// Every prefix of a request, and then nothing more: the server neither crashes nor waits.
TEST(HostileRequests, CutAnywhereEndTheConnection) {
  EchoServer server(small_server());
  const std::string whole = chunked("3;a\r\nabc\r\n0\r\nA: b\r\n\r\n");
  for (size_t size = 0; size < whole.size(); ++size) {
    SCOPED_TRACE(size);
    HttpClient client(server.server.port());
    client.send(whole.substr(0, size));
    client.finish();
    EXPECT_EQ(client.receive().status, size == 0 ? 0 : 400);
    EXPECT_TRUE(client.is_closed());
  }
  EXPECT_TRUE(testing::eventually([&] { return server.server.connections() == 0; }));
}

}  // namespace
}  // namespace marrow::serve
