// Plots are drawn by the program gnuplot (Debian's package gnuplot-nox), which is looked for when a plot is
// wanted and not before. It runs as a child with the script as its standard input and the plot as its
// standard output: no shell, no file names, nothing of the user's gnuplot settings, and no signal of the
// terminal (Ctrl-C ends the run, not the plot).
//
// Any thread may draw.
#pragma once

#include <string>

namespace marrow::evaluate {

struct GnuplotOptions {
  std::string program = "gnuplot";  // a name is looked for in PATH
  double seconds = 30;              // after which it is killed
};

// What gnuplot writes to its standard output. Throws Error{kUnsupported} when gnuplot cannot be used here at
// all: it is not installed, or it did not end in time; Error{kFormat} with its words when it does not like
// the script.
std::string run_gnuplot(const std::string& script, const GnuplotOptions& options = {});

}  // namespace marrow::evaluate
