// The models that are served, by name. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "marrow/serve/oip/metadata.h"

namespace marrow::serve {

struct ModelSource {
  std::string name;  // in URLs
  std::string path;  // a checkpoint, or a folder that holds one
};

// "best.safetensors" is named best; "street=best.safetensors" street. Throws Error{kUsage} for names that are
// no words of a URL, and for two of one name.
std::vector<ModelSource> parse_model_sources(const std::vector<std::string>& words);

class Models {
 public:
  Models(std::vector<ModelSource> sources, const NetworkOptions& options);

  // Reads every model; the first call makes it ready. A model that was read before is replaced once its
  // successor has run, and goes with its last request. Throws what Network::load throws for the first that
  // cannot be read; what was there before stays.
  void load();

  bool ready() const;
  // Throws HttpError: 404 naming the nearest, 503 for one that is not loaded yet. "": the first.
  std::shared_ptr<Network> find(const std::string& name) const;
  std::vector<ModelState> states() const;
  // Throws HttpError{404}. "": the first.
  ModelState state(const std::string& name) const;

 private:
  const std::vector<ModelSource> sources_;
  const NetworkOptions options_;
  std::mutex loading_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Network>> networks_;
  std::map<std::string, std::shared_ptr<ModelMetrics>> metrics_;
};

}  // namespace marrow::serve
