// A file that another program cuts while it is mapped.
#include <gtest/gtest.h>

#include "reliability/commands.h"
#include "reliability/faulty_run.h"

namespace marrow::testing {
namespace {

TEST(CutFile, EndsTheCommandWithAMessage) {
  const TemporaryFolder folder;
  prepare_commands(folder.path());
  const ProgramResult result =
      run_with_fault("map:1:short:state.pt",
                     {"import", "state.pt", "--model", "tiny.yaml", "-o", "out.safetensors"}, folder.path())
          .program;
  EXPECT_EQ(result.code, 1);
  EXPECT_SAYS(result.err, "marrow: a file became shorter while it was read");
  EXPECT_FALSE(fs::exists(folder / "out.safetensors"));
}

}  // namespace
}  // namespace marrow::testing
