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
  EXPECT_EQ(message("no/such.mp4"), "no/such.mp4: no such video");
  fs::create_directories(folder_ / "empty");
  EXPECT_NE(message((folder_ / "empty").string()).find("no images"), std::string::npos);
  EXPECT_NE(message(""), "");
  EXPECT_NE(message("0").find("0: here only images, folders"), std::string::npos);
  EXPECT_NE(message("rtsp://me:secret@host/x").find("rtsp://host/x: here only images"), std::string::npos);
  EXPECT_NE(message("https://host/x.jpg").find("no image is fetched"), std::string::npos);
}

TEST_F(Sources, TellVideosFromImages) {
  EXPECT_EQ(video_kind("0"), VideoKind::kCamera);
  EXPECT_EQ(video_kind("rtsp://host:554/x"), VideoKind::kStream);
  EXPECT_EQ(video_kind("HTTPS://host/live.m3u8"), VideoKind::kStream);
  EXPECT_EQ(video_kind("https://host/x.JPG?size=1"), std::nullopt);
  EXPECT_EQ(video_kind("123"), std::nullopt);
  EXPECT_EQ(video_kind("no/such.mp4"), std::nullopt);
  EXPECT_EQ(video_kind(write("x.MP4", "").string()), VideoKind::kFiles);
  EXPECT_EQ(video_kind(write("cams.streams", "").string()), VideoKind::kList);
  EXPECT_EQ(video_kind(folder_.string()), std::nullopt);  // images are there too
  fs::create_directories(folder_ / "videos");
  const fs::path b = write("videos/b.avi", ""), a = write("videos/a.mov", "");
  write("videos/notes.txt", "");
  EXPECT_EQ(video_kind((folder_ / "videos").string()), VideoKind::kFiles);
  EXPECT_EQ(video_files((folder_ / "videos").string()), (std::vector<fs::path>{a, b}));
  EXPECT_EQ(video_files((folder_ / "videos/*").string()), (std::vector<fs::path>{a, b}));
  EXPECT_EQ(video_files(b.string()), std::vector<fs::path>{b});
}

TEST_F(Sources, AListOfStreamsHasOneALine) {
  EXPECT_EQ(listed_streams(write("a.streams", "rtsp://a/b\r\n# a remark\n\n  0\n")),
            (std::vector<std::string>{"rtsp://a/b", "0"}));
  EXPECT_THROW(listed_streams(write("b.streams", "# nothing\n")), Error);
}

TEST(WithoutPassword, LeavesTheHost) {
  EXPECT_EQ(without_password("rtsp://me:s@cret@host:554/a@b"), "rtsp://host:554/a@b");
  EXPECT_EQ(without_password("rtsp://host/a"), "rtsp://host/a");
  EXPECT_EQ(without_password("rtsp://me@host"), "rtsp://host");
  EXPECT_EQ(without_password("folder/me@work"), "folder/me@work");
}

}  // namespace
}  // namespace marrow::detect
