// How a command's words are read, on one small command.
#include "command_line/parse.h"

#include <gtest/gtest.h>

#include <optional>

#include "support/message_of.h"

namespace marrow::cli {
namespace {

// The words of one small command, without the program's.
struct Small {
  Small() {
    command.option("-n,--number", &number, "A number").range(0, 10);
    command.option("--size", &size, "One or two").range(1, 100).at_most(2).without("none");
    command.option("--names", &names, "Names").without("none");
    command.option("--set", &set, "Settings").once_each().without("none");
    command.option("--resume", &resume, "A run").without("none");
    command.flag("-v,--loud", &loud, "Loud");
    command.argument("FILE", &file, "A file").required();
    command.action([] { return 0; });
  }
  std::string refusal(const std::vector<std::string>& words) {
    return testing::refusal_of([&] { parse(command, words); });
  }

  int number = 1;
  std::vector<int> size;
  std::vector<std::string> names, set;
  std::optional<std::string> resume;
  bool loud = false;
  std::string file;
  Command command{"small"};
};

TEST(Parse, ListsTakeCommasOrWords) {
  Small small;
  EXPECT_EQ(
      small.refusal({"--size", "3", "4", "file", "--names", "a,b", "c", "--set", "x=1", "--set", "y=2"}), "");
  EXPECT_EQ(small.size, (std::vector<int>{3, 4}));
  EXPECT_EQ(small.names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(small.set, (std::vector<std::string>{"x=1", "y=2"}));
  EXPECT_EQ(small.file, "file");
  EXPECT_NE(Small().refusal({"--size", "1,2,3", "file"}), "");
}

TEST(Parse, ValuesMayLookLikeOptions) {
  Small small;
  EXPECT_EQ(small.refusal({"--number=7", "-v", "--", "--loud"}), "");
  EXPECT_EQ(small.number, 7);
  EXPECT_TRUE(small.loud);
  EXPECT_EQ(small.file, "--loud");
  EXPECT_EQ(Small().refusal({"file", "-n", "-1"}).substr(0, 44),
            "--number: '-1' is not a number from 0 to 10.");
  Small attached;
  EXPECT_EQ(attached.refusal({"-n5", "file"}), "");
  EXPECT_EQ(attached.number, 5);
}

TEST(Parse, SettingsAreOptions) {
  Small small;
  EXPECT_EQ(small.refusal({"number=3", "file=a.txt", "loud=True", "names=[red box, bar]", "size=[3, 4]",
                           "resume=False"}),
            "");
  EXPECT_EQ(small.number, 3);
  EXPECT_EQ(small.file, "a.txt");
  EXPECT_TRUE(small.loud);
  EXPECT_EQ(small.names, (std::vector<std::string>{"red box", "bar"}));
  EXPECT_EQ(small.size, (std::vector<int>{3, 4}));
  EXPECT_EQ(small.resume, std::nullopt);
  // What stands before a setting does not take it for a value.
  Small lists;
  EXPECT_EQ(lists.refusal({"--names", "a", "number=2", "--loud", "resume=True", "f"}), "");
  EXPECT_EQ(lists.names, std::vector<std::string>{"a"});
  EXPECT_EQ(lists.number, 2);
  EXPECT_EQ(lists.resume, "");
  EXPECT_EQ(lists.file, "f");
  Small nothing;
  EXPECT_EQ(nothing.refusal({"number=None", "names=None", "file=f"}), "");
  EXPECT_EQ(nothing.number, 1);
  EXPECT_NE(Small().refusal({"file=a", "nmber=3"}).find("Did you mean '--number'"), std::string::npos);
  // Switches may stand alone beside settings.
  Small alone;
  EXPECT_EQ(alone.refusal({"resume", "number=2", "loud", "file=f"}), "");
  EXPECT_TRUE(alone.loud);
  EXPECT_EQ(alone.resume, "");
  EXPECT_EQ(alone.file, "f");
  Small plain;
  EXPECT_EQ(plain.refusal({"loud"}), "");
  EXPECT_EQ(plain.file, "loud");
  // A file of such a name, and whatever is no name before the sign.
  Small place;
  EXPECT_EQ(place.refusal({"./a=b"}), "");
  EXPECT_EQ(place.file, "./a=b");
}

TEST(Parse, AnOptionalValueMayLack) {
  Small with, without;
  EXPECT_EQ(with.refusal({"file", "--resume", "run"}), "");
  EXPECT_EQ(with.resume, "run");
  EXPECT_EQ(without.refusal({"file", "--resume", "--loud"}), "");
  EXPECT_EQ(without.resume, "");
  EXPECT_TRUE(without.loud);
}

TEST(Parse, RefusesWhatDoesNotFit) {
  EXPECT_EQ(Small().refusal({}).substr(0, 17), "FILE is required.");
  EXPECT_NE(Small().refusal({"file", "other"}).find("other"), std::string::npos);
  EXPECT_NE(
      Small().refusal({"file", "--lod"}).find("unknown option of 'small' '--lod'. Did you mean '--loud'?"),
      std::string::npos);
  EXPECT_EQ(Small().refusal({"file", "--no-loud=true"}), "--no-loud: takes no value; wanted --loud=true");
  EXPECT_NE(Small().refusal({"file", "--number"}), "");
  EXPECT_NE(Small().refusal({"file", "--number", "1.5"}), "");
  EXPECT_NE(Small().refusal({"file", "--number", ""}), "");
  EXPECT_NE(Small().refusal({"file", "-x"}).find("unknown option"), std::string::npos);
}

}  // namespace
}  // namespace marrow::cli
