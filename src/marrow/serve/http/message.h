// Requests and responses as values, and the error that becomes a response. Plain values: any thread.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace marrow::serve {

struct Field {
  std::string name;  // of a request: in lower case
  std::string value;
};

// What stands before a request's body, as it came.
struct Head {
  std::string method;
  std::string target;
  int minor_version = 1;  // of HTTP/1
  std::vector<Field> fields;

  // The field's value; nullptr where there is none. Of several the first.
  const std::string* find(std::string_view name) const;
  size_t count(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string type;  // of the body
  std::string body;
  std::vector<Field> fields = {};  // others than its type, its length and what the server adds to all
};

// A request that is answered with an error. Its text is for the client.
class HttpError : public std::runtime_error {
 public:
  HttpError(int status, const std::string& text, std::vector<Field> fields = {})
      : std::runtime_error(text), status_(status), fields_(std::move(fields)) {}
  int status() const { return status_; }
  const std::vector<Field>& fields() const { return fields_; }

 private:
  int status_;
  std::vector<Field> fields_;
};

inline constexpr const char* kJson = "application/json";

// "Not Found"
std::string_view reason(int status);

// Its first line and its fields, with the empty line behind them; `more` come last.
std::string response_head(const Response& response, const std::vector<Field>& more);

// {"error": text}
Response error_response(int status, std::string_view text);
Response error_response(const HttpError& error);

// 503, and when to come again.
HttpError overloaded(const std::string& text);

// Whether a comma-separated field has the word, in any case: "keep-alive, Upgrade".
bool has_token(std::string_view list, std::string_view token);

// 0: the list names nothing that matches; otherwise the largest q of "a;q=0.5, b": of the entry itself, else
// of a wildcard in it ("*", "image/*", "*/*").
double quality_of(std::string_view list, std::string_view wanted);

}  // namespace marrow::serve
