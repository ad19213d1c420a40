// What clients send.
#include <fmt/format.h>

#include "fuzz/readers.h"
#include "fuzz/request.h"
#include "marrow/serve/http/chunked.h"
#include "marrow/serve/http/compression.h"
#include "marrow/serve/http/head.h"
#include "marrow/serve/http/limits.h"
#include "marrow/serve/http/multipart.h"
#include "marrow/serve/http/origin.h"
#include "marrow/serve/http/target.h"
#include "marrow/serve/oip/request.h"

namespace marrow::fuzz {
namespace {

const serve::HttpLimits& small_limits() {
  static const serve::HttpLimits limits = {.request_line = 512, .head = 2048, .fields = 20, .body = 1 << 16};
  return limits;
}

constexpr size_t kMostNumbers = 1 << 16;

}  // namespace

// A connection's bytes, which come in pieces.
std::optional<Request> received_request(Bytes bytes) {
  const serve::HttpLimits& limits = small_limits();
  const std::string_view received = text_of(bytes);
  serve::HeadReader reader(limits);
  std::optional<size_t> length;
  for (size_t size = 1; size <= received.size() && !length; size = size * 2 + 1)
    length = reader.read(received.substr(0, size));
  if (!length) length = reader.read(received);
  if (!length) return {};
  Request request{std::move(reader.head()), {}, {}};
  request.framing = serve::framing_of(request.head, limits);
  if (request.framing.chunked) {
    serve::ChunkReader chunks(limits);
    std::string_view rest = received.substr(*length);
    while (!chunks.done() && !rest.empty()) {
      const size_t taken = chunks.read(rest.substr(0, 7), request.body);
      if (taken == 0) break;
      rest.remove_prefix(taken);
    }
  } else {
    request.body = received.substr(*length, request.framing.length.value_or(0));
  }
  return request;
}

void read_http_request(Bytes bytes) {
  std::optional<Request> request = received_request(bytes);
  if (!request) return;
  const serve::Head& head = request->head;
  serve::loggable(head.target);
  const serve::OriginRules rules = {.allowed_hosts = {"a"}, .allowed_origins = {"https://example.org"}};
  if (serve::is_allowed_preflight(head, rules)) serve::preflight_response();
  serve::cross_origin_fields(head, rules);
  serve::check_origin(head, serve::parse_target(head.target), rules);
  std::string body = std::move(request->body);
  const serve::Coding coding = serve::content_coding(head);
  if (coding != serve::Coding::kIdentity) body = serve::unpack(body, coding, small_limits().body);
  if (const std::string* type = head.find("content-type"))
    if (const std::string boundary = serve::multipart_boundary(*type); !boundary.empty())
      serve::parse_multipart(body, boundary);
}

Seeds http_request_seeds() {
  const std::string packed = serve::pack(std::string(300, 'a'), serve::Coding::kGzip);
  return {
      "GET /v1/detect?conf=0.4&classes=a%20b HTTP/1.1\r\nHost: localhost:8080\r\nAccept: "
      "image/*;q=0.5\r\n\r\n",
      "OPTIONS /v1/detect HTTP/1.1\r\nHost: a\r\nOrigin: https://example.org\r\n"
      "Access-Control-Request-Method: POST\r\n\r\n",
      "POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n0\r\nTrailer: "
      "a\r\n\r\n",
      fmt::format("POST / HTTP/1.0\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{}", packed.size(),
                  packed),
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: "
      "79\r\n\r\n"
      "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\n\r\nx\r\n--b--\r\n",
  };
}

// A Content-Type, and the body behind it.
void read_multipart(Bytes bytes) {
  const std::string_view text = text_of(bytes);
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return;
  const std::string boundary = serve::multipart_boundary(text.substr(0, end));
  if (!boundary.empty()) serve::parse_multipart(text.substr(end + 1), boundary);
}

Seeds multipart_seeds() {
  return {
      "multipart/form-data; boundary=\"b\"\n--b\r\nContent-Disposition: form-data; name=\"image\"; "
      "filename=\"a \\\"b\\\".jpg\"\r\nContent-Type: image/jpeg\r\n\r\nx\r\n"
      "--b\r\nContent-Disposition: form-data; name=conf\r\n\r\n0.5\r\n--b--\r\n",
  };
}

void read_infer_request(Bytes bytes) {
  serve::parse_infer_request(text_of(bytes), kMostNumbers);
}

Seeds infer_request_seeds() {
  return {
      R"({"id":"a","parameters":{"binary_data_output":true},"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,2,2],)"
      R"("data":[[1,2.5e3,-0],[1E-400]],"parameters":{"x":null}}],"outputs":[{"name":"output0","parameters":{"binary_data":false}}]})",
      R"({"inputs":[{"name":"images","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":9}}]})",
  };
}

}  // namespace marrow::fuzz
