// Output that nobody reads to its end, as with `| head -1`.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "reliability/sweep.h"

namespace marrow::testing {
namespace {

// The exit code of the command in front of a reader that leaves after one byte.
std::string code_before_reader(const Sweep& sweep, const std::string& command, const std::string& before) {
  const std::string script = fmt::format("cd '{}'; {} ({} 2>err; echo $? >code) | head -c 1 >first",
                                         sweep.folder().string(), before, command);
  EXPECT_EQ(std::system(script.c_str()), 0);
  EXPECT_FALSE(read_text(sweep.folder() / "first").empty());
  return read_text(sweep.folder() / "code");
}

TEST(ClosedPipe, EndsACommandAndLeavesWholeFiles) {
  Sweep sweep;
  const TriedCommand& command = tried_command(sweep.commands(), "predict");
  ASSERT_NO_FATAL_FAILURE(sweep.take(command));
  std::string line = MARROW_PROGRAM;
  for (const std::string& word : command.words) line += " '" + word + "'";
  // A first line goes, and many come behind it.
  for (int i = 0; i < 40; ++i)
    fs::create_hard_link(sweep.folder() / "data/images/val/000000.jpg",
                         sweep.folder() / fmt::format("data/images/val/more{}.jpg", i));
  const std::string ended = code_before_reader(sweep, line + " --json", "");
  EXPECT_EQ(ended, "141\n") << read_text(sweep.folder() / "err");  // 128 and SIGPIPE
  const std::string said = code_before_reader(sweep, line + " --json", "trap '' PIPE;");
  EXPECT_EQ(said, "1\n");
  EXPECT_SAYS(read_text(sweep.folder() / "err"), "marrow: the output cannot be written: Broken pipe");
}

}  // namespace
}  // namespace marrow::testing
