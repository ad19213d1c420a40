#include "marrow/base/class_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "marrow/base/error.h"
#include "marrow/base/text.h"

namespace marrow {

std::vector<int> class_numbers(std::span<const std::string> wanted, std::span<const std::string> names,
                               const std::string& option) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kUsage, option + ": " + what); };
  std::vector<int> numbers;
  for (const std::string& text : wanted) {
    if (text.empty()) refuse("a class is empty; wanted numbers or names with commas between");
    int number = -1;
    if (const auto named = std::ranges::find(names, text); named != names.end()) {
      number = static_cast<int>(named - names.begin());
    } else {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error == std::errc::invalid_argument || end != text.data() + text.size())
        refuse(unknown_name_message("class", text, names));
      if (error != std::errc() || number < 0 || number >= static_cast<int>(names.size()))
        refuse(fmt::format("{}, but there are {} classes (0..{})", printable(text), names.size(),
                           static_cast<int>(names.size()) - 1));
    }
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace marrow
