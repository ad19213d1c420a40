#include "marrow/base/text.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

#include "marrow/base/utf8.h"

namespace marrow {
namespace {

// Levenshtein distance in which two neighbours that changed places are one slip, three rows at a time.
size_t slips_between(std::string_view a, std::string_view b) {
  std::vector<size_t> before, row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    next[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      next[j + 1] = std::min({row[j] + (a[i] == b[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1});
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j])
        next[j + 1] = std::min(next[j + 1], before[j - 1] + 1);
    }
    before = std::exchange(row, next);
  }
  return row.back();
}

size_t likely_slips(size_t letters) {
  if (letters <= 4) return 1;
  return letters <= 7 ? 2 : (letters + 2) / 3;
}

std::string_view without_hyphens(std::string_view name) {
  return name.substr(std::min(name.find_first_not_of('-'), name.size()));
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::vector<std::string_view> listed_lines(std::string_view content) {
  std::vector<std::string_view> lines;
  while (!content.empty()) {
    const size_t length = std::min(content.find('\n'), content.size());
    const std::string_view line = trimmed(content.substr(0, length));
    content.remove_prefix(std::min(length + 1, content.size()));
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::optional<bool> parse_truth(std::string_view text) {
  const std::string lower = to_lower(text);
  for (const char* yes : {"true", "1", "yes", "on"})
    if (lower == yes) return true;
  for (const char* no : {"false", "0", "no", "off"})
    if (lower == no) return false;
  return {};
}

std::string printable(std::string_view text, size_t longest) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t size = utf8_length(text.substr(at));
    const std::string_view one = text.substr(at, std::max<size_t>(size, 1));
    if (at + one.size() > longest) return result + "...";
    result += size == 0 || is_control(code_point(one)) ? std::string_view("?") : one;
    at += one.size();
  }
  return result;
}

std::string nearest_name(std::string_view found, std::span<const std::string> known) {
  // A hostile name may be huge; no honest slip is.
  constexpr size_t kLongestName = 100;
  if (found.size() > kLongestName) return {};
  const std::string wanted = to_lower(without_hyphens(found));
  std::string best;
  size_t fewest = likely_slips(wanted.size()) + 1;
  for (const std::string& name : known) {
    const size_t slips = slips_between(wanted, to_lower(without_hyphens(name)));
    if (slips < fewest) {
      fewest = slips;
      best = name;
    }
  }
  return best;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string joined;
  for (const std::string& part : parts) {
    if (!joined.empty()) joined += separator;
    joined += part;
  }
  return joined;
}

std::string unknown_name_message(std::string_view what, std::string_view found,
                                 std::span<const std::string> known) {
  constexpr size_t kListedNames = 12;
  std::string message = "unknown " + std::string(what) + " '" + printable(found, 100) + "'.";
  const std::string nearest = nearest_name(found, known);
  if (!nearest.empty()) message += " Did you mean '" + nearest + "'?";
  // A long list would only hide the name that was meant.
  if (known.empty() || (known.size() > kListedNames && !nearest.empty())) return message;
  message += " Known: " + join(known.first(std::min(known.size(), kListedNames)), ", ");
  if (known.size() > kListedNames) message += ", ...";
  return message;
}

}  // namespace marrow
