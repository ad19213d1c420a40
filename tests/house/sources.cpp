#include "sources.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <regex>
#include <sstream>
#include <string_view>

#include "marrow/base/files.h"

namespace marrow::testing {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestSource = 1 << 20;  // bytes

// Where what begins at `i` and is no code ends: a comment, a literal, a preprocessor line. `i` itself where
// code goes on.
size_t end_of_other(const std::string& text, size_t i) {
  const auto after = [&](std::string_view mark, size_t from) {
    const size_t found = text.find(mark, from);
    return found == std::string::npos ? text.size() : found + mark.size();
  };
  if (text.compare(i, 2, "//") == 0) return std::min(text.find('\n', i), text.size());
  if (text.compare(i, 2, "/*") == 0) return after("*/", i + 2);
  if (text.compare(i, 2, "R\"") == 0) {
    const size_t open = text.find('(', i);
    return after(")" + text.substr(i + 2, open - i - 2) + "\"", open);
  }
  const bool digit_separator =
      text[i] == '\'' && i > 0 && std::isxdigit(static_cast<unsigned char>(text[i - 1]));
  if (text[i] == '"' || (text[i] == '\'' && !digit_separator)) {
    for (size_t j = i + 1; j < text.size(); ++j) {
      if (text[j] == '\\')
        ++j;
      else if (text[j] == text[i])
        return j + 1;
    }
    return text.size();
  }
  const size_t line = text.find_last_of('\n', i) + 1;
  if (text[i] == '#' && text.find_first_not_of(" \t", line) == i) {
    size_t end = text.find('\n', i);
    while (end != std::string::npos && text[end - 1] == '\\') end = text.find('\n', end + 1);
    return std::min(end, text.size());
  }
  return i;
}

std::string bare_code(const std::string& text) {
  std::string code;
  for (size_t i = 0; i < text.size();) {
    const size_t end = end_of_other(text, i);
    code += end == i ? text[i] : ' ';
    i = std::max(end, i + 1);
  }
  return code;
}

}  // namespace

std::vector<Source> read_sources(const std::vector<std::string>& folders) {
  const fs::path root = MARROW_SOURCE_DIR;
  std::vector<Source> result;
  for (const std::string& folder : folders)
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const fs::path& path = entry.path();
      if (path.extension() == ".h" || path.extension() == ".hpp" || path.extension() == ".cpp")
        result.push_back({path.lexically_relative(root), read_file(path, kLargestSource)});
    }
  std::ranges::sort(result, {}, &Source::path);
  return result;
}

Layers declared_layers() {
  Layers result;
  std::ifstream file(MARROW_LAYERS);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string layer;
    words >> layer;
    for (std::string below; words >> below;) result[layer].insert(below);
  }
  return result;
}

std::string layer_of(const Layers& layers, const std::string& path) {
  std::string longest;
  for (const auto& [layer, below] : layers)
    if (path.starts_with(layer + "/") && layer.size() > longest.size()) longest = layer;
  return longest;
}

std::vector<std::string> quoted_includes(const std::string& text) {
  static const std::regex include(R"re((?:^|\n)[ \t]*#[ \t]*include[ \t]*"([^"]+)")re");
  std::vector<std::string> result;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), include); it != std::sregex_iterator(); ++it)
    result.push_back((*it)[1]);
  return result;
}

std::vector<std::string> defined_types(const std::string& text) {
  const std::string code = bare_code(text);
  static const std::regex token(R"re([A-Za-z_]\w*(?:::[A-Za-z_]\w*)*|[{};])re");
  std::vector<std::string> result;
  std::vector<std::string> open;  // what each brace belongs to: a namespace's name, or "" for anything else
  std::vector<std::string> statement;  // the words since the last ; { or }
  for (auto it = std::sregex_iterator(code.begin(), code.end(), token); it != std::sregex_iterator(); ++it) {
    const std::string word = it->str();
    if (word == ";") {
      statement.clear();
    } else if (word == "}") {
      if (!open.empty()) open.pop_back();
      statement.clear();
    } else if (word == "{") {
      const bool named = statement.size() == 2 && statement[0] == "namespace";
      const bool in_namespaces = std::ranges::none_of(open, &std::string::empty);
      const auto keyword = std::ranges::find_if(statement, [](const std::string& each) {
        return each == "struct" || each == "class" || each == "union" || each == "enum";
      });
      if (in_namespaces && !open.empty() && keyword != statement.end() && statement.front() != "template") {
        auto name = keyword + 1;
        if (name != statement.end() && (*name == "class" || *name == "struct")) ++name;
        // "struct A f() {" and "void f(struct A) {" define nothing.
        const bool head = keyword == statement.begin();
        if (head && name != statement.end()) {
          std::string full;
          for (const std::string& space : open) full += space + "::";
          result.push_back(full + *name);
        }
      }
      open.push_back(named ? statement[1] : "");
      statement.clear();
    } else {
      statement.push_back(word);
    }
  }
  return result;
}

}  // namespace marrow::testing
