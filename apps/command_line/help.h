// A command told to a reader: as --help prints it, as a page of the reference, as a man page.
#pragma once

#include <string>

#include "command_line/command_line.h"

namespace marrow::cli {

// "marrow predict [OPTIONS] MODEL"
std::string usage_text(const Command& command);
// "-o, --output FILE", "--[no-]rect", "MODEL"
std::string head_text(const Option& option);
// The help, how else the option may be given, and its default.
std::string body_text(const Option& option);

std::string help_text(const Command& command);

// All commands of the program as Markdown.
std::string reference_markdown(const Command& program);

// A page of section 1 for groff's macros `man`.
std::string man_page(const Command& command, const std::string& version);
// "marrow-data-check.1"
std::string man_page_name(const Command& command);

}  // namespace marrow::cli
