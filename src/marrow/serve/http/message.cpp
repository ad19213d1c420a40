#include "marrow/serve/http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "marrow/base/text.h"

namespace marrow::serve {
namespace {

struct Reason {
  int status;
  std::string_view text;
};

constexpr Reason kReasons[] = {
    {200, "OK"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

// function(entry) of each part between commas, trimmed.
template <class Function>
void for_each_entry(std::string_view list, const Function& function) {
  while (true) {
    const size_t comma = list.find(',');
    function(trimmed(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// Of "gzip; q=0.5": 0.5; 1 without one, 0 where it is no number.
double entry_quality(std::string_view parameters) {
  while (!parameters.empty()) {
    parameters.remove_prefix(1);  // the semicolon
    const size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view parameter = trimmed(parameters.substr(0, end));
    if (parameter.starts_with("q=") || parameter.starts_with("Q=")) {
      double value = 0;
      const auto [stop, error] =
          std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), value);
      const bool whole = error == std::errc() && stop == parameter.data() + parameter.size();
      return whole && value >= 0 && value <= 1 ? value : 0;
    }
    parameters.remove_prefix(end);
  }
  return 1;
}

// How well a name of a list fits: 0 not at all, 3 exactly.
int match(std::string_view name, std::string_view wanted) {
  if (to_lower(name) == wanted) return 3;
  if (name == "*" || name == "*/*") return 1;
  return name.ends_with("/*") && wanted.starts_with(to_lower(name.substr(0, name.size() - 1))) ? 2 : 0;
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  gmtime_r(&now, &utc);
  std::array<char, 40> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

}  // namespace

const std::string* Head::find(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? nullptr : &found->value;
}

size_t Head::count(std::string_view name) const {
  return static_cast<size_t>(std::ranges::count(fields, name, &Field::name));
}

std::string_view reason(int status) {
  const auto found = std::ranges::find(kReasons, status, &Reason::status);
  return found == std::end(kReasons) ? "Unknown" : found->text;
}

std::string response_head(const Response& response, const std::vector<Field>& more) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
  const auto add = [&](std::string_view name, std::string_view value) {
    text += fmt::format("{}: {}\r\n", name, value);
  };
  constexpr int kNoContent = 204;
  add("Date", http_date());
  if (!response.type.empty()) add("Content-Type", response.type);
  if (response.status != kNoContent) add("Content-Length", std::to_string(response.body.size()));
  for (const std::vector<Field>* fields : {&response.fields, &more})
    for (const Field& field : *fields) add(field.name, field.value);
  return text + "\r\n";
}

Response error_response(int status, std::string_view text) {
  using nlohmann::json;
  const json body = {{"error", text}};
  return {status, kJson, body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

Response error_response(const HttpError& error) {
  Response response = error_response(error.status(), error.what());
  response.fields = error.fields();
  return response;
}

HttpError overloaded(const std::string& text) {
  return HttpError(503, text, {{"Retry-After", "1"}});
}

bool has_token(std::string_view list, std::string_view token) {
  bool found = false;
  for_each_entry(list, [&](std::string_view entry) { found = found || to_lower(entry) == token; });
  return found;
}

double quality_of(std::string_view list, std::string_view wanted) {
  int best = 0;
  double quality = 0;
  for_each_entry(list, [&](std::string_view entry) {
    const size_t end = std::min(entry.find(';'), entry.size());
    const int fits = match(trimmed(entry.substr(0, end)), wanted);
    if (fits == 0 || fits < best) return;
    const double found = entry_quality(entry.substr(end));
    quality = fits > best ? found : std::max(quality, found);
    best = fits;
  });
  return quality;
}

}  // namespace marrow::serve
