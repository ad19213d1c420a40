#include "marrow/base/run_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "marrow/base/error.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

class RunFolder : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root_); }
  const fs::path root_ = fs::path(::testing::TempDir()) / ("marrow_run_folder_" + std::to_string(::getpid()));
};

TEST_F(RunFolder, CountsUpUnlessToldToReuse) {
  EXPECT_EQ(make_run_folder(root_ / "detect", "predict", false), root_ / "detect" / "predict");
  EXPECT_EQ(make_run_folder(root_ / "detect", "predict", false), root_ / "detect" / "predict2");
  EXPECT_EQ(make_run_folder(root_ / "detect", "predict", false), root_ / "detect" / "predict3");
  EXPECT_EQ(make_run_folder(root_ / "detect", "predict", true), root_ / "detect" / "predict");
}

TEST_F(RunFolder, StaysInsideTheProject) {
  for (const char* name : {"", "..", "../x", "a/b"})
    EXPECT_THROW(make_run_folder(root_, name, false), Error) << name;
}

TEST_F(RunFolder, FoldersAreMadeWithThoseAroundThem) {
  make_folders(root_ / "a" / "b");
  make_folders(root_ / "a" / "b");
  EXPECT_TRUE(fs::is_directory(root_ / "a" / "b"));
  std::ofstream(root_ / "file") << "x";
  EXPECT_THROW(make_folders(root_ / "file" / "c"), Error);
}

TEST_F(RunFolder, SaysWhatIsInTheWay) {
  fs::create_directories(root_);
  std::ofstream(root_ / "file") << "x";
  EXPECT_THROW(make_run_folder(root_ / "file" / "detect", "predict", false), Error);
  // A file of that name is no folder: the next number is free.
  EXPECT_EQ(make_run_folder(root_, "file", true), root_ / "file2");
}

}  // namespace
}  // namespace marrow
