#include "marrow/train/same_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "marrow/base/error.h"

namespace marrow::train {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The first line in which the two differ.
std::string difference(const std::string& first, const std::string& other) {
  const std::vector<std::string> ours = lines_of(first), theirs = lines_of(other);
  size_t i = 0;
  while (i < ours.size() && i < theirs.size() && ours[i] == theirs[i]) ++i;
  const auto line = [i](const std::vector<std::string>& lines) {
    return i < lines.size() ? lines[i] : "nothing";
  };
  return fmt::format("has '{}', rank 0 has '{}'", line(theirs), line(ours));
}

}  // namespace

std::string text_of_first(distributed::Communicator& communicator, std::string text) {
  text.resize(static_cast<size_t>(communicator.from_first(static_cast<double>(text.size()))));
  communicator.broadcast(std::as_writable_bytes(std::span(text)));
  return text;
}

void require_same_run(distributed::Communicator& communicator, const std::vector<RunFact>& facts) {
  std::string verdict;
  for (const auto& [name, text] : facts) {
    const std::vector<std::string> texts = communicator.gather(text);
    for (size_t rank = 1; rank < texts.size() && verdict.empty(); ++rank)
      if (texts[rank] != texts[0])
        verdict = fmt::format("{}: another {} than the others: {}", communicator.name(static_cast<int>(rank)),
                              name, difference(texts[0], texts[rank]));
  }
  verdict = text_of_first(communicator, verdict);
  if (!verdict.empty()) throw Error(ErrorKind::kUsage, verdict);
}

}  // namespace marrow::train
