// The memory that a training says it takes is what it takes.
#include <gtest/gtest.h>

#include <regex>

#include "apps/program.h"
#include "support/temporary_folder.h"

namespace marrow::apps {
namespace {

using testing::ProgramResult;
using testing::run_program;

TEST(TrainMemory, IsWhatTheSystemCounted) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer takes more";
#endif
  const testing::TemporaryFolder folder;
  const auto run = [&](const std::vector<std::string>& arguments) {
    return run_program(arguments, {.folder = folder.path()});
  };
  ASSERT_EQ(run({"data", "synth", "shapes", "--images", "64", "--image-size", "192"}).code, 0);
  const ProgramResult trained = run({"train", "--data", "shapes/data.yaml", "--model", "yolov8n", "--imgsz",
                                     "192", "--batch", "8", "--epochs", "1", "--no-plots", "--threads", "2"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  std::smatch found;
  const std::string said = trained.err + trained.out;
  ASSERT_TRUE(std::regex_search(said, found, std::regex("about ([0-9.]+) GB of memory"))) << said;
  const double peak = static_cast<double>(trained.peak_bytes) / 1e9;
  EXPECT_NEAR(std::stod(found[1]) / peak, 1, 0.25) << found[0] << ", and the peak was " << peak;
}

}  // namespace
}  // namespace marrow::apps
