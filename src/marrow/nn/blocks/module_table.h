// The modules that a YAML's line may name, as two tables of Markdown: those that are built with their
// arguments, and those of forks that are refused with what they are. docs/models.md has them; a test
// compares.
#pragma once

#include <string>

namespace marrow::nn {

std::string module_table();

}  // namespace marrow::nn
