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
    : path_(std::move(path)), columns_(std::move(columns)) {
  if (keep_epochs > 0 && std::filesystem::exists(path_)) {
    std::istringstream old(read_file(path_, kMaxBytes));
    std::string line;
    std::getline(old, line);
    if (line == join(columns_, ","))
      while (std::getline(old, line))
        if (const int epoch = epoch_of(line, columns_.size()); epoch > 0 && epoch <= keep_epochs)
          lines_[epoch] = line;
  }
  write();
}

void ResultsCsv::append(const std::vector<double>& values) {
  assert(values.size() == columns_.size());
  const int epoch = static_cast<int>(values.front());
  lines_.erase(lines_.lower_bound(epoch), lines_.end());
  std::string& line = lines_[epoch];
  for (const double value : values) line += fmt::format("{}{:.6g}", line.empty() ? "" : ",", value);
  write();
}

void ResultsCsv::write() const {
  std::string text = join(columns_, ",") + "\n";
  for (const auto& [epoch, line] : lines_) text += line + "\n";
  write_file_atomically(path_, text);
}

}  // namespace marrow
