// Names as people see them listed.
#pragma once

#include <string>
#include <vector>

namespace marrow::cli {

// Separated by blanks, wrapped and indented.
void print_names(const std::vector<std::string>& names);

// Every family with its paper, its sources and its variants.
void print_backbones();

}  // namespace marrow::cli
