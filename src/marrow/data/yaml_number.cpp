#include "marrow/data/yaml_number.h"

#include <fmt/format.h>

#include <charconv>

#include "marrow/base/error.h"

namespace marrow::data {

int64_t whole_number(const YamlValue& value, std::string_view key, int64_t smallest, int64_t largest,
                     const std::string& file) {
  int64_t result = 0;
  const char* end = value.text.data() + value.text.size();
  const auto [at, error] = std::from_chars(value.text.data(), end, result);
  if (error != std::errc() || at != end || result < smallest || result > largest)
    throw Error(ErrorKind::kFormat, fmt::format("{}:{}: {}: {}, expected a whole number from {} to {}", file,
                                                value.line, key, describe(value), smallest, largest));
  return result;
}

}  // namespace marrow::data
