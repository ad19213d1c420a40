#include "marrow/base/file_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "marrow/base/error.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"

namespace marrow {
namespace {

// A process that has the lock and sleeps.
class Holder {
 public:
  explicit Holder(const std::filesystem::path& path) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe(ends), 0);
    child_ = ::fork();
    if (child_ == 0) {
      const FileLock lock(path, "is busy");
      if (::write(ends[1], "x", 1) == 1) ::pause();
      ::_exit(0);
    }
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  ~Holder() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

 private:
  pid_t child_ = -1;
};

TEST(FileLock, KeepsOtherProcessesOutWhileItLasts) {
  const testing::TemporaryFolder folder;
  for (const auto& path : {folder.path(), folder / "file"}) {
    {
      const Holder holder(path);
      EXPECT_SAYS(testing::message_of([&] { const FileLock lock(path, "is busy"); }),
                  path.string() + ": another process is busy");
    }
    // A killed process has none.
    EXPECT_NO_THROW(FileLock(path, "is busy"));
  }
}

}  // namespace
}  // namespace marrow
