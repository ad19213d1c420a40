#include "marrow/serve/http/framing.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "marrow/base/text.h"

namespace marrow::serve {
namespace {

constexpr size_t kMostDigits = 18;  // which fit

HttpError too_large(const HttpLimits& limits) {
  return HttpError(413, fmt::format("the body is larger than {} bytes", limits.body));
}

std::optional<uint64_t> stated_length(const Head& head, const HttpLimits& limits) {
  const std::string* first = nullptr;
  for (const Field& field : head.fields) {
    if (field.name != "content-length") continue;
    const bool digits =
        !field.value.empty() && std::ranges::all_of(field.value, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) throw HttpError(400, "Content-Length is not a number");
    if (first != nullptr && *first != field.value)
      throw HttpError(400, "Content-Length is given twice, with different numbers");
    first = &field.value;
  }
  if (first == nullptr) return {};
  const std::string digits = first->substr(std::min(first->find_first_not_of('0'), first->size() - 1));
  if (digits.size() > kMostDigits || std::stoull(digits) > limits.body) throw too_large(limits);
  return std::stoull(digits);
}

void check_hosts(const Head& head) {
  const size_t hosts = head.count("host");
  if (hosts > 1) throw HttpError(400, "more than one Host");
  if (hosts == 0 && head.minor_version > 0) throw HttpError(400, "no Host, which HTTP/1.1 asks for");
}

bool is_chunked(const Head& head) {
  const size_t codings = head.count("transfer-encoding");
  if (codings == 0) return false;
  if (head.minor_version == 0) throw HttpError(400, "Transfer-Encoding in an HTTP/1.0 request");
  if (head.count("content-length") > 0)
    throw HttpError(400, "Content-Length beside Transfer-Encoding; one of them has to go");
  const std::string& coding = *head.find("transfer-encoding");
  if (codings > 1 || to_lower(coding) != "chunked")
    throw HttpError(501, "Transfer-Encoding other than 'chunked'");
  return true;
}

bool wants_to_stay(const Head& head) {
  bool close = false, keep = false;
  for (const Field& field : head.fields)
    if (field.name == "connection") {
      close = close || has_token(field.value, "close");
      keep = keep || has_token(field.value, "keep-alive");
    }
  return !close && (head.minor_version > 0 || keep);
}

}  // namespace

Framing framing_of(const Head& head, const HttpLimits& limits) {
  check_hosts(head);
  Framing framing;
  framing.chunked = is_chunked(head);
  framing.length = stated_length(head, limits);
  framing.keep_alive = wants_to_stay(head);
  if (const std::string* expected = head.find("expect"); expected != nullptr && head.minor_version > 0) {
    if (to_lower(*expected) != "100-continue" || head.count("expect") > 1)
      throw HttpError(417, "Expect other than '100-continue'");
    framing.expects_continue = true;
  }
  return framing;
}

}  // namespace marrow::serve
