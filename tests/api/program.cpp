#include "apps/program.h"

#include "api/made_files.h"

namespace marrow::testing {

std::string run_marrow(const std::vector<std::string>& arguments) {
  const ProgramResult result = run_program(arguments);
  EXPECT_EQ(result.code, 0) << result.err;
  return result.out;
}

}  // namespace marrow::testing
