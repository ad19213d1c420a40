#include "marrow/base/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "marrow/base/error.h"
#include "marrow/base/random_access_file.h"

namespace marrow {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("marrow_files_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  size_t files_in_folder() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_F(Files, ReadsBackWhatWasWritten) {
  const fs::path path = folder_ / "a.bin";
  write_file_atomically(path, "hello");
  EXPECT_EQ(read_file(path, 5), "hello");
  EXPECT_EQ(text_of(MappedFile(path)), "hello");
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(Files, JoinsThePartsInOrder) {
  const std::string_view words[] = {"one ", "", "two"};
  std::vector<std::span<const std::byte>> parts;
  for (const std::string_view word : words) parts.push_back(std::as_bytes(std::span(word)));
  write_file_atomically(folder_ / "a", parts);
  EXPECT_EQ(read_file(folder_ / "a", 100), "one two");
}

TEST_F(Files, MappingKeepsTheOldContentWhenTheFileIsReplaced) {
  const fs::path path = folder_ / "a.bin";
  write_file_atomically(path, "old");
  const MappedFile mapped(path);
  write_file_atomically(path, "new content");
  EXPECT_EQ(text_of(mapped), "old");
  EXPECT_EQ(read_file(path, 100), "new content");
}

TEST_F(Files, PieceByPieceNothingIsSeenBeforeTheCommit) {
  const fs::path path = folder_ / "a.bin";
  write_file_atomically(path, "old");
  const auto write = [](AtomicFile& file, std::string_view text) {
    file.write(std::as_bytes(std::span(text)));
  };
  {
    AtomicFile given_up(path);
    write(given_up, "never");
  }
  EXPECT_EQ(read_file(path, 100), "old");
  EXPECT_EQ(files_in_folder(), 1u);
  AtomicFile file(path);
  write(file, "hello, ");
  write(file, "world");
  EXPECT_EQ(read_file(path, 100), "old");
  file.commit();
  EXPECT_EQ(read_file(path, 100), "hello, world");
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(Files, AreReadAtAnyPlace) {
  write_file_atomically(folder_ / "a.bin", "hello, world");
  const RandomAccessFile file(folder_ / "a.bin");
  file.expect_sequential();
  EXPECT_EQ(file.size(), 12u);
  std::string part(5, ' ');
  file.read(7, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, "world");
  try {
    file.read(10, std::as_writable_bytes(std::span(part)));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              (folder_ / "a.bin").string() + ": ends at byte 12, and 3 more are wanted there; cut off?");
  }
  EXPECT_THROW(RandomAccessFile(folder_ / "none"), Error);
  EXPECT_THROW(RandomAccessFile{folder_}, Error);
}

TEST_F(Files, EmptyFileIsEmpty) {
  write_file_atomically(folder_ / "a", "");
  EXPECT_TRUE(MappedFile(folder_ / "a").bytes().empty());
  EXPECT_EQ(read_file(folder_ / "a", 0), "");
}

TEST_F(Files, RefusesMoreThanTheLimit) {
  write_file_atomically(folder_ / "a", "123456");
  EXPECT_THROW(read_file(folder_ / "a", 5), Error);
}

TEST_F(Files, RefusesMissingFilesFoldersAndPipes) {
  EXPECT_THROW(MappedFile(folder_ / "missing"), Error);
  EXPECT_THROW(MappedFile{folder_}, Error);
  EXPECT_THROW(read_file(folder_, 100), Error);
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(MappedFile{pipe}, Error);
  try {
    read_file(folder_ / "missing", 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFile);
    EXPECT_NE(std::string(error.what()).find("missing"), std::string::npos);
  }
}

TEST_F(Files, RefusesToReplaceAFolderOrToWriteIntoNoFolder) {
  fs::create_directories(folder_ / "sub");
  EXPECT_THROW(write_file_atomically(folder_ / "sub", "x"), Error);
  EXPECT_THROW(write_file_atomically(folder_ / "none" / "a", "x"), Error);
  EXPECT_EQ(files_in_folder(), 1u);
}

// A file-size limit stands in for a full disk: write() fails half way, just as it does with ENOSPC.
TEST_F(Files, FailedWriteLeavesTheOldFileAndNoTemporary) {
  const fs::path path = folder_ / "a";
  write_file_atomically(path, "old");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(write_file_atomically(path, std::string(100'000, 'x')), Error);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(read_file(path, 100), "old");
  EXPECT_EQ(files_in_folder(), 1u);
}

// A killed process of the same number, in a container say, may have left them.
TEST_F(Files, TakesAnotherNameWhereAHiddenOneIsTaken) {
  for (int i = 0; i < 2000; ++i)
    std::ofstream(folder_ / (".a." + std::to_string(::getpid()) + "-" + std::to_string(i) + ".tmp"));
  write_file_atomically(folder_ / "a", "new");
  EXPECT_EQ(read_file(folder_ / "a", 100), "new");
}

TEST_F(Files, AKilledWriteLeavesNothing) {
  const int nameless = ::open(folder_.c_str(), O_WRONLY | O_TMPFILE, 0666);
  if (nameless < 0) GTEST_SKIP() << folder_ << " lies on a file system without nameless files";
  ::close(nameless);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit small{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &small);
    std::signal(SIGXFSZ, SIG_DFL);  // which ends it in the middle of the file
    write_file_atomically(folder_ / "a", std::string(100'000, 'x'));
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(files_in_folder(), 0u);
}

}  // namespace
}  // namespace marrow
