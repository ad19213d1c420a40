// results.csv: one line an epoch, with the columns that users of YOLOv8 and their scripts know.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace marrow::train {

// "epoch", "time" (seconds since the start), losses, metrics. `second`: the letter of the metrics beside
// those of boxes, "M" or "P"; empty: none.
std::vector<std::string> detection_columns(const std::vector<std::string>& losses = {"box_loss", "cls_loss",
                                                                                     "dfl_loss"},
                                           const std::string& second = "");
std::vector<std::string> classification_columns();

// With the learning rates of so many parameter groups behind them.
std::vector<std::string> with_rates(std::vector<std::string> columns, size_t groups);

// A results.csv as numbers.
struct ResultsTable {
  std::vector<std::string> columns;
  std::vector<std::vector<double>> rows;  // as long as columns; NaN for what is not a number
};

// Ours, or one with padded columns as older YOLOv8 versions wrote it; a last line that was cut off is left
// out. Throws Error{kFile}, and Error{kFormat} when the first column is not "epoch".
ResultsTable read_results_csv(const std::filesystem::path& path);

// The whole file is rewritten with each line, so a crash never leaves half a line. Numbers are written as
// %.6g, NaN as an empty cell: an epoch without validation has no metrics.
class ResultsCsv {
 public:
  // Starts the file anew, or keeps the lines of epochs 1..`keep_epochs` of the one that is there, if it has
  // the same
  // columns: a resumed run writes the rest again. Throws Error{kFile}.
  ResultsCsv(std::filesystem::path path, std::vector<std::string> columns, int keep_epochs = 0);

  // One value a column, the first being the epoch, from 1. Lines of this epoch and later ones go: a run that
  // went back writes them again. Throws Error{kFile}.
  void append(const std::vector<double>& values);

  const std::vector<std::string>& columns() const { return columns_; }

 private:
  void write() const;

  std::filesystem::path path_;
  std::vector<std::string> columns_;
  std::map<int, std::string> lines_;  // by epoch
};

}  // namespace marrow::train
