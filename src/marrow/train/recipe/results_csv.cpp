#include "marrow/train/recipe/results_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"

namespace marrow::train {
namespace {

constexpr size_t kMaxBytes = 64 << 20;

// The epoch a complete line is of; 0 for anything else.
int epoch_of(const std::string& line, size_t columns) {
  int epoch = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), epoch);
  const auto commas = static_cast<size_t>(std::count(line.begin(), line.end(), ','));
  return error == std::errc() && *end == ',' && commas + 1 == columns ? epoch : 0;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream row(line + ",");  // or an empty last cell would be none
  std::string cell;
  while (std::getline(row, cell, ',')) {
    const size_t begin = cell.find_first_not_of(" \t\r");
    const size_t end = cell.find_last_not_of(" \t\r");
    cells.push_back(begin == std::string::npos ? "" : cell.substr(begin, end - begin + 1));
  }
  return cells;
}

double number_of(const std::string& cell) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  const bool whole = error == std::errc() && end == cell.data() + cell.size();
  return whole ? value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::vector<std::string> detection_columns(const std::vector<std::string>& losses,
                                           const std::string& second) {
  std::vector<std::string> columns = {"epoch", "time"};
  const auto add_losses = [&](const std::string& split) {
    for (const std::string& loss : losses) columns.push_back(split + loss);
  };
  add_losses("train/");
  for (const std::string& block : {std::string("B"), second})
    for (const char* metric : {"precision", "recall", "mAP50", "mAP50-95"})
      if (!block.empty()) columns.push_back(fmt::format("metrics/{}({})", metric, block));
  add_losses("val/");
  return columns;
}

std::vector<std::string> classification_columns() {
  return {"epoch", "time", "train/loss", "metrics/accuracy_top1", "metrics/accuracy_top5", "val/loss"};
}

std::vector<std::string> with_rates(std::vector<std::string> columns, size_t groups) {
  for (size_t g = 0; g < groups; ++g) columns.push_back(fmt::format("lr/pg{}", g));
  return columns;
}

ResultsTable read_results_csv(const std::filesystem::path& path) {
  std::istringstream text(read_file(path, kMaxBytes));
  ResultsTable table;
  std::string line;
  std::getline(text, line);
  table.columns = cells_of(line);
  if (table.columns.empty() || table.columns[0] != "epoch")
    throw Error(ErrorKind::kFormat,
                fmt::format("{}: the first column is '{}', expected 'epoch'", path.string(),
                            table.columns.empty() ? "" : printable(table.columns[0])));
  while (std::getline(text, line)) {
    const std::vector<std::string> cells = cells_of(line);
    if (cells.size() != table.columns.size()) continue;
    std::vector<double>& row = table.rows.emplace_back();
    for (const std::string& cell : cells) row.push_back(number_of(cell));
    if (!std::isfinite(row[0])) table.rows.pop_back();
  }
  return table;
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
  for (const double value : values) {
    if (!line.empty()) line += ',';
    if (!std::isnan(value)) line += fmt::format("{:.6g}", value);
  }
  write();
}

void ResultsCsv::write() const {
  std::string text = join(columns_, ",") + "\n";
  for (const auto& [epoch, line] : lines_) text += line + "\n";
  write_file_atomically(path_, text);
}

}  // namespace marrow::train
