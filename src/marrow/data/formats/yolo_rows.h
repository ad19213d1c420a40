// How the rows of YOLO's label files are read, for yolo_format.cpp alone.
#pragma once

#include <string>
#include <string_view>

#include "marrow/data/labels.h"

namespace marrow::data {

inline constexpr size_t kBoxColumns = 5;
inline constexpr size_t kLeastPolygonColumns = 7;

// For a detector: every row is judged alone, boxes and polygons may mix.
ParsedLabels parse_detection_rows(std::string_view text, const std::string& file, const YoloRows& rules);

// For all other tasks, by the reference's rules.
ParsedLabels parse_task_rows(std::string_view text, const std::string& file, const YoloRows& rules);

// The class of a row, or an error among the problems and -1.
int class_of_row(double number, std::string_view word, int classes, const std::string& place,
                 ProblemList& problems);

// The box around a polygon.
Label bounds_of(int class_id, const Polygon& polygon);

// Takes the labels of the class `ignore` out as regions; the classes behind it count one less.
void take_regions(ParsedLabels& labels, int ignore_class);

}  // namespace marrow::data
