// Label files of text: rows of words between white space.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace marrow::data {

struct WordRow {
  int line = 0;                   // of the file, from 1
  size_t first = 0, columns = 0;  // into the file's words; rows without any are left out
};

struct RowWords {
  std::vector<std::string_view> words;  // of the text, which outlives them
  std::vector<WordRow> rows;
};
RowWords split_words(std::string_view text);

// A number as C writes it, also with a plus sign; nothing for one that is not finite.
std::optional<double> finite_number(std::string_view word);

}  // namespace marrow::data
