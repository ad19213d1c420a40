// What the web page asks for beside detections: the models and their classes, sample pictures, training runs,
// and corrected boxes to be saved.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "marrow/serve/http/exchange.h"
#include "marrow/serve/models.h"
#include "marrow/serve/routes.h"
#include "marrow/serve/site/label_folder.h"
#include "marrow/serve/site/run_index.h"

namespace marrow::serve {

struct SiteOptions {
  std::string samples, runs, labels;  // folders; "": none
};

class Site {
 public:
  static constexpr size_t kMostSamples = 24;
  static constexpr size_t kMostLabelBoxes = 10'000;

  // `models` outlives it; `most_pixels` of a picture with labels. Throws Error for folders that are not there
  // or cannot be used.
  Site(const Models& models, const SiteOptions& options, int64_t most_pixels);

  // GET /v1/models, /v1/samples/N, /v1/runs, /v1/runs/N, /v1/runs/N/NAME. Throws HttpError.
  Response answer(const Route& route) const;
  // POST /v1/labels?model=M: a form with the picture, and with {"width", "height", "boxes": [{"class", "box":
  // [x1, y1, x2, y2]}]} in the field `labels`; classes are numbers of the model's. {"image", "label"}: where
  // they lie in the dataset. Throws HttpError.
  Response save_labels(const Exchange& exchange) const;

 private:
  std::string models_text() const;
  Response sample(const std::string& number) const;

  const Models& models_;
  const int64_t most_pixels_;
  std::vector<std::filesystem::path> samples_;
  std::unique_ptr<RunIndex> runs_;
  std::unique_ptr<LabelFolder> labels_;
};

}  // namespace marrow::serve
