#include "marrow/data/formats/label_words.h"

#include <charconv>
#include <cmath>

namespace marrow::data {
namespace {

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

RowWords split_words(std::string_view text) {
  RowWords result;
  int line = 1;
  WordRow row{line, 0, 0};
  const auto end_row = [&] {
    row.columns = result.words.size() - row.first;
    if (row.columns > 0) result.rows.push_back(row);
    row = {++line, result.words.size(), 0};
  };
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '\n') end_row();
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    const size_t start = at;
    while (at < text.size() && !is_blank(text[at])) ++at;
    result.words.push_back(text.substr(start, at - start));
  }
  end_row();
  return result;
}

std::optional<double> finite_number(std::string_view word) {
  if (word.starts_with('+')) word.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace marrow::data
