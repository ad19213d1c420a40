#include "recipe/results_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace marrow {
namespace {

constexpr size_t kMaxBytes = 64 << 20;

// The epoch a complete line is of; 0 for anything else.
int epoch_of(const std::string& line, size_t columns) {
  int epoch = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), epoch);
  const auto commas = static_cast<size_t>(std::count(line.begin(), line.end(), ','));
  return error == std::errc() && *end == ',' && commas + 1 == columns ? epoch : 0;
}

}  // namespace

std::vector<std::string> detection_columns() {
  return {"epoch",
          "time",
          "train/box_loss",
          "train/cls_loss",
          "train/dfl_loss",
          "metrics/precision(B)",
          "metrics/recall(B)",
          "metrics/mAP50(B)",
          "metrics/mAP50-95(B)",
          "val/box_loss",
          "val/cls_loss",
          "val/dfl_loss",
          "lr/pg0",
          "lr/pg1",
          "lr/pg2"};
}

std::vector<std::string> classification_columns() {
  return {"epoch",  "time",   "train/loss", "metrics/accuracy_top1", "metrics/accuracy_top5", "val/loss",
          "lr/pg0", "lr/pg1", "lr/pg2"};
}

ResultsCsv::ResultsCsv(std::filesystem::path path, std::vector<std::string> columns, int keep_epochs)
    : path_(std::move(path)), columns_(std::move(columns)), text_(join(columns_, ",") + "\n") {
  if (keep_epochs > 0 && std::filesystem::exists(path_)) {
    std::istringstream old(read_file(path_, kMaxBytes));
    std::string line;
    std::getline(old, line);
    if (line + "\n" == text_)
      while (std::getline(old, line))
        if (const int epoch = epoch_of(line, columns_.size()); epoch > 0 && epoch <= keep_epochs)
          text_ += line + "\n";
  }
  write_file_atomically(path_, text_);
}

void ResultsCsv::append(const std::vector<double>& values) {
  assert(values.size() == columns_.size());
  std::string line;
  for (const double value : values) line += fmt::format("{}{:.6g}", line.empty() ? "" : ",", value);
  text_ += line + "\n";
  write_file_atomically(path_, text_);
}

}  // namespace marrow
