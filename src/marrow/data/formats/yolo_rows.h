// How the rows of YOLO's label files are read, for yolo_format.cpp alone.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/data/labels.h"

namespace marrow::data {

inline constexpr size_t kBoxColumns = 5;
inline constexpr size_t kLeastPolygonColumns = 7;

// For a detector: every row is judged alone, boxes and polygons may mix.
ParsedLabels parse_detection_rows(std::string_view text, const std::string& file, const YoloRows& rules);

// For all other tasks, by the reference's rules.
ParsedLabels parse_task_rows(std::string_view text, const std::string& file, const YoloRows& rules);

// Sets `numbers` to those of a row. Returns its class, or -1 where a word is no number or the class is none,
// with an error among the problems.
int read_row(std::span<const std::string_view> words, int classes, const std::string& file, int line,
             std::vector<double>& numbers, ProblemList& problems);

// The box around a polygon.
Label bounds_of(int class_id, const Polygon& polygon);

// Takes the labels of the class `ignore` out as regions; the classes behind it count one less.
void take_regions(ParsedLabels& labels, int ignore_class);

}  // namespace marrow::data
