#include "marrow/detect/sources.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "marrow/base/error.h"

namespace marrow::detect {
namespace {

namespace fs = std::filesystem;

class Sources : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("sources_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "sub.jpg");
    for (const char* name : {"b.JPG", "a.png", "c.txt", "d.gif", "имя с пробелом.webp", "sub.jpg/deep.png"})
      write(name, "");
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }
  std::vector<std::string> names(const std::string& source) {
    std::vector<std::string> result;
    for (const fs::path& path : expand_sources(source))
      result.push_back(fs::relative(path, folder_).string());
    return result;
  }

  fs::path folder_;
};

using Names = std::vector<std::string>;

TEST_F(Sources, FolderGivesItsImagesSortedAndNoDeeper) {
  EXPECT_EQ(names(folder_.string()), (Names{"a.png", "b.JPG", "имя с пробелом.webp"}));
}

TEST_F(Sources, FileIsTakenWhateverItsSuffix) {
  EXPECT_EQ(names((folder_ / "d.gif").string()), (Names{"d.gif"}));
}

TEST_F(Sources, PatternGivesMatchingImages) {
  EXPECT_EQ(names((folder_ / "[ab].*").string()), (Names{"a.png", "b.JPG"}));
  EXPECT_EQ(names((folder_ / "*" / "*.png").string()), (Names{"sub.jpg/deep.png"}));
  EXPECT_THROW(expand_sources((folder_ / "z*").string()), Error);
}

TEST_F(Sources, NameWithBracketsIsAFileFirst) {
  write("x[1].png", "");
  EXPECT_EQ(names((folder_ / "x[1].png").string()), (Names{"x[1].png"}));
}

TEST_F(Sources, ListResolvesItsEntries) {
  fs::path list = write("list.txt", "\xef\xbb\xbf./b.JPG\r\n\r\n  " + (folder_ / "a.png").string() +
                                        "  \n\na.png\nmissing.jpg\n./имя с пробелом.webp");
  std::vector<fs::path> paths = expand_sources(list.string());
  EXPECT_EQ(paths, (std::vector<fs::path>{folder_ / "b.JPG", folder_ / "a.png", folder_ / "a.png",
                                          "missing.jpg", folder_ / "имя с пробелом.webp"}));
}

TEST_F(Sources, NothingToReadIsNamed) {
  auto message = [](const std::string& source) {
    try {
      expand_sources(source);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message("no/such.jpg").find("no/such.jpg: no such"), std::string::npos);
  EXPECT_NE(message((folder_ / "c.txt").string()).find("names no images"), std::string::npos);
  fs::create_directories(folder_ / "empty");
  EXPECT_NE(message((folder_ / "empty").string()).find("no images"), std::string::npos);
  EXPECT_NE(message(""), "");
  EXPECT_NE(message("0").find("0: a camera is not read; read are images"), std::string::npos);
  EXPECT_NE(message("rtsp://host/x").find("a stream is not read"), std::string::npos);
  EXPECT_NE(message("https://host/x.jpg").find("nothing is fetched"), std::string::npos);
}

}  // namespace
}  // namespace marrow::detect
