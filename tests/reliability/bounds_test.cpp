// What small files can make the program take: memory and processor time, measured from outside.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "reliability/commands.h"
#include "reliability/hostile_files.h"

namespace marrow::testing {
namespace {

// A program that reads a tiny network and a tiny picture takes some 40 MB.
constexpr int64_t kMostBytes = 300'000'000;
constexpr double kMostSeconds = 10;  // of processor time, so that a busy machine changes nothing

std::vector<HostileFile> hostile_files() {
  std::vector<HostileFile> all;
  for (const auto& part : {hostile_images(), hostile_networks(), hostile_datasets()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(Bounds, OfSmallFilesHold) {
  const TemporaryFolder folder;
  prepare_commands(folder.path());
  write_text(folder / "tar.yaml", "train: hostile-000000.tar\nval: hostile-000000.tar\nnames: [a]\n");
  for (const HostileFile& file : hostile_files()) {
    write_text(folder / file.name, file.content);
    const ProgramResult result = run_program(file.words, {.folder = folder.path(), .seconds = 300});
    const std::string said = result.out + result.err;
    EXPECT_EQ(result.code, file.says.empty() ? 0 : 1) << file.what << ": " << said;
    EXPECT_SAYS(said, file.says) << file.what;
    EXPECT_LT(result.peak_bytes, kMostBytes) << file.what;
    EXPECT_LT(result.processor_seconds, kMostSeconds) << file.what;
    RecordProperty(file.what, fmt::format("{} {} {:.2f} {}", file.content.size(), result.peak_bytes,
                                          result.processor_seconds, file.says.empty() ? "read" : "refused"));
  }
}

}  // namespace
}  // namespace marrow::testing
