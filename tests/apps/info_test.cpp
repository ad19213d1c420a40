// `marrow info --graph`, `--dot` and `--program`.
#include <gtest/gtest.h>

#include <sstream>

#include "apps/program.h"

namespace marrow::apps {
namespace {

using testing::lines_of;
using testing::ProgramResult;
using testing::run_program;

int lines_starting(const std::string& text, const std::string& start) {
  int count = 0;
  for (const std::string& line : lines_of(text)) count += line.starts_with(start) ? 1 : 0;
  return count;
}

TEST(Info, PrintsTheGraph) {
  const ProgramResult result = run_program({"info", "yolov8n", "--imgsz", "320", "--graph"});
  ASSERT_EQ(result.code, 0) << result.err;
  const model::Model model = model::make_model("yolov8n");
  EXPECT_EQ(lines_starting(result.out, "%"), static_cast<int>(model.graph.nodes.size()));
  EXPECT_SAYS(result.out, "conv 3x3/2 padding 1 -> 16   <- %0   16 channels, stride 2   ");
  EXPECT_SAYS(result.out, "(1, 16, 160, 160)\n        weight model.0.conv.weight (16, 3, 3, 3)\n");
  EXPECT_SAYS(result.out, "eps 0.001 momentum 0.03");
  for (const Parameter& parameter : model.graph.parameters)
    EXPECT_SAYS(result.out, " " + parameter.name + " ");
  EXPECT_SAYS(result.out, "\noutput output0 = %");
}

TEST(Info, PrintsTheDeployedGraph) {
  const ProgramResult result = run_program({"info", "yolov8n-vanillanet", "--graph", "--deploy"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out.find("batch_norm"), std::string::npos);
}

TEST(Info, DrawsTheGraphForGraphviz) {
  const ProgramResult result = run_program({"info", "starnet_s050", "--dot"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("digraph network {\n"));
  EXPECT_TRUE(result.out.ends_with("}\n"));
  const model::Model model = model::make_model("starnet_s050");
  for (size_t i = 0; i < model.graph.nodes.size(); ++i)
    for (const Value input : model.graph.nodes[i].inputs)
      EXPECT_SAYS(result.out, "\n  n" + std::to_string(input.id) + " -> n" + std::to_string(i));
}

TEST(Info, PrintsTheProgram) {
  const ProgramResult result =
      run_program({"info", "yolov8n", "--imgsz", "64", "--program", "--threads", "1", "--no-autotune"});
  ASSERT_EQ(result.code, 0) << result.err;
  const std::vector<std::string> lines = lines_of(result.out);
  EXPECT_SAYS(lines.at(0), "1 threads, input (1, 3, 64, 64), arena ");
  EXPECT_SAYS(lines.at(1), "kernel");
  EXPECT_SAYS(lines.at(2), "input");
  EXPECT_SAYS(result.out, "3x3/2");
  EXPECT_SAYS(result.out, "output 0");
  // Every place lies within the arena.
  long arena = 0;
  std::istringstream head(lines.at(0).substr(lines.at(0).find("arena ") + 6));
  head >> arena;
  EXPECT_GT(arena, 0);
  int places = 0;
  for (size_t i = 2; i < lines.size(); ++i)
    for (size_t at = lines[i].find("arena "); at != std::string::npos; at = lines[i].find("arena ", at + 1)) {
      long begin = -1, end = -1;
      EXPECT_EQ(std::sscanf(lines[i].c_str() + at, "arena %ld..%ld", &begin, &end), 2) << lines[i];
      EXPECT_LE(0, begin);
      EXPECT_LT(begin, end);
      EXPECT_LE(end, arena);
      ++places;
    }
  EXPECT_GT(places, 60);
}

TEST(Info, PrintsOneFormAtATime) {
  EXPECT_EQ(run_program({"info", "yolov8n", "--graph", "--dot"}).code, 2);
  EXPECT_EQ(run_program({"info", "yolov8n", "--program", "--json"}).code, 2);
}

}  // namespace
}  // namespace marrow::apps
