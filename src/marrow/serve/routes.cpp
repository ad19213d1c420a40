#include "marrow/serve/routes.h"

#include <algorithm>
#include <string_view>

#include "marrow/serve/static_files.h"

namespace marrow::serve {
namespace {

enum class Verb { kGet, kPost, kPostBody };

// "*" stands for a model's name, with or without "/versions/V" behind it, "+" for any other part.
struct Pattern {
  RouteId id;
  Verb verb;
  const char* text;
};

constexpr Pattern kPatterns[] = {
    {RouteId::kMetrics, Verb::kGet, "/metrics"},
    {RouteId::kServer, Verb::kGet, "/v2"},
    {RouteId::kLive, Verb::kGet, "/v2/health/live"},
    {RouteId::kReady, Verb::kGet, "/v2/health/ready"},
    {RouteId::kModels, Verb::kGet, "/v2/models"},
    {RouteId::kAllStatistics, Verb::kGet, "/v2/models/stats"},
    {RouteId::kModel, Verb::kGet, "/v2/models/*"},
    {RouteId::kModelReady, Verb::kGet, "/v2/models/*/ready"},
    {RouteId::kModelConfig, Verb::kGet, "/v2/models/*/config"},
    {RouteId::kModelStatistics, Verb::kGet, "/v2/models/*/stats"},
    {RouteId::kInfer, Verb::kPostBody, "/v2/models/*/infer"},
    {RouteId::kIndex, Verb::kPost, "/v2/repository/index"},
    {RouteId::kLoading, Verb::kPost, "/v2/repository/models/*/load"},
    {RouteId::kLoading, Verb::kPost, "/v2/repository/models/*/unload"},
    {RouteId::kDetect, Verb::kPostBody, "/v1/detect"},
    {RouteId::kDetectBatch, Verb::kPostBody, "/v1/detect/batch"},
    {RouteId::kClassify, Verb::kPostBody, "/v1/classify"},
    {RouteId::kClassifyBatch, Verb::kPostBody, "/v1/classify/batch"},
    {RouteId::kPageModels, Verb::kGet, "/v1/models"},
    {RouteId::kSample, Verb::kGet, "/v1/samples/+"},
    {RouteId::kRuns, Verb::kGet, "/v1/runs"},
    {RouteId::kRun, Verb::kGet, "/v1/runs/+"},
    {RouteId::kRunPicture, Verb::kGet, "/v1/runs/+/+"},
    {RouteId::kLabels, Verb::kPostBody, "/v1/labels"},
};

std::vector<std::string_view> parts_of(std::string_view pattern) {
  std::vector<std::string_view> parts;
  while (!pattern.empty()) {
    pattern.remove_prefix(1);
    const size_t end = std::min(pattern.find('/'), pattern.size());
    parts.push_back(pattern.substr(0, end));
    pattern.remove_prefix(end);
  }
  return parts;
}

bool matches(const Pattern& pattern, const std::vector<std::string>& path, Route& route) {
  size_t at = 0;
  for (const std::string_view part : parts_of(pattern.text)) {
    if (at == path.size()) return false;
    if (part == "*") {
      route.model = path[at++];
      if (at + 1 < path.size() && path[at] == "versions") {
        route.version = path[at + 1];
        at += 2;
      }
    } else if (part == "+") {
      route.items.push_back(path[at++]);
    } else if (path[at++] != part) {
      return false;
    }
  }
  return at == path.size();
}

void check_method(const std::string& method, const Route& route) {
  const bool fits = route.posts ? method == "POST" : method == "GET" || method == "HEAD";
  if (!fits)
    throw HttpError(405, "this route takes " + std::string(route.posts ? "POST" : "GET"),
                    {{"Allow", route.posts ? "POST" : "GET, HEAD"}});
}

}  // namespace

Route find_route(const std::string& method, const Target& target, const char*& pattern) {
  if (find_static_file(target.path) != nullptr) {
    Route page;
    pattern = "page";
    check_method(method, page);
    return page;
  }
  for (const Pattern& each : kPatterns) {
    Route route{.id = each.id,
                .posts = each.verb != Verb::kGet,
                .wants_body = each.verb == Verb::kPostBody,
                .model = {},
                .version = {},
                .items = {}};
    if (!matches(each, target.segments, route)) continue;
    pattern = each.text;
    check_method(method, route);
    return route;
  }
  throw HttpError(404, "there is no " + loggable(target.path));
}

}  // namespace marrow::serve
