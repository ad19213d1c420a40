#include "marrow/model/python_names.h"

#include <gtest/gtest.h>

namespace marrow::model {
namespace {

using Names = std::vector<std::string>;

TEST(PythonNames, WritesWhatPythonWould) {
  EXPECT_EQ(python_names({"person", "dog"}), "{0: 'person', 1: 'dog'}");
  EXPECT_EQ(python_names({"dog's bowl"}), "{0: \"dog's bowl\"}");
  EXPECT_EQ(python_names({"a\\b", "\"x\" y's"}), "{0: 'a\\\\b', 1: '\"x\" y\\'s'}");
  EXPECT_EQ(python_names({"chaise d'été\n"}), "{0: \"chaise d'été\\x0a\"}");
}

TEST(PythonNames, ReadsWhatItWrites) {
  const Names names = {"person",      "dog's bowl", "\"q\"",    "it's \"both\"",
                       "back\\slash", "été 猫",     "{0: 'x'}", ", "};
  EXPECT_EQ(parse_python_names(python_names(names)), names);
}

TEST(PythonNames, ReadsOtherLayouts) {
  EXPECT_EQ(parse_python_names("['a', \"b\",]"), (Names{"a", "b"}));
  EXPECT_EQ(parse_python_names(" { 1 : 'b' , 0:'a' } "), (Names{"a", "b"}));
  EXPECT_EQ(parse_python_names("{0: '\\xe9t\\u00e9 \\U0001F600'}"), (Names{"été 😀"}));
}

TEST(PythonNames, RefusesEverythingElse) {
  for (const char* text : {"", "{", "{}", "{0: 'a'", "{0: 'a", "{0 'a'}", "{0: a}", "{1: 'a'}",
                           "{0: 'a', 0: 'b'}", "{0: 'a' 1: 'b'}", "{0: '\\xg0'}", "{0: __import__('os')}",
                           "'a'", "[1, 2]", "{-1: 'a'}", "{0: '\\", "{99999999999999999999: 'a'}"})
    EXPECT_FALSE(parse_python_names(text)) << text;
}

}  // namespace
}  // namespace marrow::model
