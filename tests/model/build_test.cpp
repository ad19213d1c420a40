#include <gtest/gtest.h>

#include "model/zoo.h"

namespace marrow {
namespace {

TEST(Build, EveryZooNameBuilds) {
  for (const std::string& name : zoo_names()) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(make_model(name).graph.outputs.empty());
  }
}

}  // namespace
}  // namespace marrow
