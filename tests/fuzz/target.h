// Readers of bytes that nobody vouches for, as functions of these bytes: what libFuzzer drives
// (libfuzzer/main.cpp), and what the tests give the kept inputs to (fuzz_test.cpp). A new one is a function
// and a line in targets.cpp.
#pragma once

#include <cstddef>
#include <filesystem>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace marrow::fuzz {

using Bytes = std::span<const std::byte>;

struct Target {
  const char* name;
  // May throw Error or HttpError, by which readers refuse; whatever else leaves it is a finding.
  void (*read)(Bytes);
  // Sound inputs to begin with, made by Marrow's own writers.
  std::vector<std::string> (*seeds)();
};

// Files that once broke it; empty where there are none.
std::vector<std::filesystem::path> kept_inputs(const Target& target);

// For GoogleTest's messages.
inline void PrintTo(const Target& target, std::ostream* out) {
  *out << target.name;
}

const std::vector<Target>& targets();
const Target& find_target(std::string_view name);  // ends the program where there is none

// As read(), refusals caught.
void run(const Target& target, Bytes input);

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Bytes as a file, for readers that want a path.
class InputFile {
 public:
  explicit InputFile(Bytes bytes);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  std::string path() const;

 private:
  int descriptor_;
};

// A folder of its own, for readers that want a name; gone when it goes.
class OwnFolder {
 public:
  OwnFolder();
  ~OwnFolder();
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string content_of(const std::filesystem::path& file);
void write_content(const std::filesystem::path& file, Bytes bytes);

// What a writer leaves: write(path) is called with a path of that name.
template <class Write>
std::string written(const Write& write, const char* name = "seed") {
  const OwnFolder folder;
  write((folder / name).string());
  return content_of(folder / name);
}

}  // namespace marrow::fuzz
