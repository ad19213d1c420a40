// What a method and a path ask for.
#pragma once

#include <string>
#include <vector>

#include "marrow/serve/http/target.h"

namespace marrow::serve {

enum class RouteId {
  kPage,
  kMetrics,
  kServer,
  kLive,
  kReady,
  kModels,
  kModel,
  kModelReady,
  kModelConfig,
  kModelStatistics,
  kAllStatistics,
  kIndex,
  kLoading,
  kInfer,
  kDetect,
  kDetectBatch,
  kClassify,
  kClassifyBatch,
  // Of the web page.
  kPageModels,
  kSample,
  kRuns,
  kRun,
  kRunPicture,
  kLabels,
};

struct Route {
  RouteId id = RouteId::kPage;
  bool posts = false;  // POST; otherwise GET and HEAD
  bool wants_body = false;
  std::string model;               // of the path
  std::string version;             // of the path; "": none
  std::vector<std::string> items;  // other variable parts of the path, in order
};

// Throws HttpError: 404 for an unknown path, 405 with Allow for another method. Sets `pattern` first, to
// one of a fixed set: "/v2/models/*/infer".
Route find_route(const std::string& method, const Target& target, const char*& pattern);

}  // namespace marrow::serve
