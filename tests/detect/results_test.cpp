#include "marrow/detect/results.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "marrow/detect/ascii_text.h"
#include "marrow/detect/draw.h"
#include "marrow/detect/save.h"
#include "marrow/image/decode.h"

namespace marrow::detect {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kNames = {"person", "bus", "tr\xc3\xa4\xff/..", "Автобус"};

std::vector<Detection> three() {
  return {
      {{10, 20, 50, 80}, 0.876543f, 0, 0}, {{0, 0, 100, 100}, 0.5f, 1, 0}, {{30, 30, 60, 60}, 0.25f, 0, 0}};
}

class Folder {
 public:
  Folder() : path_(fs::path(::testing::TempDir()) / ("results_" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string content(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Summary, CountsByClass) {
  EXPECT_EQ(summary_text(three(), kNames), "2 persons, 1 bus");
  EXPECT_EQ(summary_text(three(), std::vector<std::string>{"cross", "box"}), "2 crosses, 1 box");
  EXPECT_EQ(summary_text({}, kNames), "(no detections)");
  EXPECT_EQ(summary_text(three(), {}), "2 0s, 1 1");
}

TEST(JsonLine, HasTheNumbersOfTracksAndWhatElseIsKnown) {
  Detection one = three()[0];
  one.track_id = 12;
  const std::string line = json_line("a", {640, 480}, std::vector{one}, kNames, {}, {{"frame", 3}});
  EXPECT_EQ(line, R"({"image":"a","width":640,"height":480,"frame":3,"detections":[{"track_id":12,"class":0,)"
                  R"("name":"person","confidence":0.87654,"box":[10.0,20.0,50.0,80.0]}]})");
  EXPECT_EQ(label_lines({200, 100}, std::vector{one}, true), "0 0.15 0.5 0.2 0.6 0.876543 12\n");
  EXPECT_EQ(label_lines({200, 100}, std::vector{one}, false), "0 0.15 0.5 0.2 0.6 12\n");
}

TEST(JsonLine, IsOneObjectWithPixels) {
  std::string line = json_line("a b.jpg", {640, 480}, three(), kNames);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["image"], "a b.jpg");
  EXPECT_EQ(parsed["width"], 640);
  EXPECT_EQ(parsed["detections"].size(), 3u);
  EXPECT_EQ(parsed["detections"][0]["name"], "person");
  EXPECT_NEAR(parsed["detections"][0]["confidence"].get<double>(), 0.87654, 1e-9);
  EXPECT_EQ(parsed["detections"][1]["box"], nlohmann::json({0.0, 0.0, 100.0, 100.0}));
}

TEST(JsonLine, BrokenUtf8IsReplaced) {
  std::vector<Detection> one = {{{0, 0, 1, 1}, 0.5f, 2, 0}};
  auto parsed = nlohmann::json::parse(json_line("\xff\xfe\n.jpg", {1, 1}, one, kNames));
  EXPECT_EQ(parsed["image"], "\xef\xbf\xbd\xef\xbf\xbd\n.jpg");
}

TEST(Labels, AreNormalisedAndReplaced) {
  EXPECT_EQ(label_lines({200, 100}, three(), true),
            "0 0.15 0.5 0.2 0.6 0.876543\n1 0.25 0.5 0.5 1 0.5\n0 0.225 0.45 0.15 0.3 0.25\n");
  std::vector<Detection> third = {{{0, 0, 1, 1}, 1.0f / 3, 1, 0}};
  EXPECT_EQ(label_lines({3, 300000}, third, false), "1 0.166667 1.66667e-06 0.333333 3.33333e-06\n");
  Folder folder;
  fs::path path = folder.path() / "a.txt";
  write_labels(path, {200, 100}, {}, false);
  EXPECT_FALSE(fs::exists(path));
  write_labels(path, {200, 100}, three(), false);
  write_labels(path, {3, 300000}, third, false);
  EXPECT_EQ(content(path), label_lines({3, 300000}, third, false));
  write_labels(path, {3, 300000}, {}, false);
  EXPECT_FALSE(fs::exists(path)) << "what an earlier run found is not there any more";
}

TEST(Crops, AreEnlargedClippedAndNumbered) {
  Folder folder;
  image::Image image(100, 100, 50);
  EXPECT_EQ(CropFolder(folder.path()).save("photo", image, three(), kNames), 3);
  // 40 x 60 becomes 50.8 x 71.2 around (30, 50).
  image::Image first = image::decode_image_file(folder.path() / "person" / "photo.jpg").image;
  EXPECT_EQ(first.width(), 51);
  EXPECT_EQ(first.height(), 71);
  EXPECT_TRUE(fs::exists(folder.path() / "person" / "photo_2.jpg"));
  EXPECT_EQ(CropFolder(folder.path()).save("photo", image, three(), kNames), 3);
  EXPECT_FALSE(fs::exists(folder.path() / "person" / "photo_3.jpg")) << "a second run adds nothing";
  CropFolder crops(folder.path());
  for (const char* name : {"photo", "photo_2", "PHOTO"})
    EXPECT_EQ(crops.save(name, image, three(), kNames), 3);
  for (const char* name : {"photo.jpg", "photo_2.jpg", "photo_2_2.jpg", "photo_2_3.jpg", "PHOTO_3.jpg"})
    EXPECT_TRUE(fs::exists(folder.path() / "person" / name)) << name;
  image::Image whole = image::decode_image_file(folder.path() / "bus" / "photo.jpg").image;
  EXPECT_EQ(whole.width(), 100);
}

TEST(Crops, NeverLeaveTheirFolder) {
  EXPECT_EQ(folder_name("a/b\\c\n"), "a_b_c_");
  for (const char* name : {"", ".", ".."}) EXPECT_EQ(folder_name(name), "_");
  std::string letters;
  for (int i = 0; i < 150; ++i) letters += "ж";
  EXPECT_EQ(folder_name(letters).size(), 200u);
  Folder folder;
  std::vector<Detection> odd = {
      {{0, 0, 5, 5}, 0.5f, 2, 0}, {{std::nanf(""), 0, 5, 5}, 0.5f, 0, 0}, {{900, 900, 950, 950}, 0.5f, 0, 0}};
  EXPECT_EQ(CropFolder(folder.path()).save("x", image::Image(8, 8, 1), odd, kNames), 1);
}

TEST(AnnotatedPath, KeepsTheNameWhereItCan) {
  EXPECT_EQ(annotated_path("runs", "a b", "in/a b.PNG"), "runs/a b.PNG");
  EXPECT_EQ(annotated_path("runs", "a", "in/a.webp"), "runs/a.jpg");
  EXPECT_EQ(annotated_path("runs", "v1.5", "in/v1.5.webp"), "runs/v1.5.jpg");
  EXPECT_EQ(annotated_path("runs", "noname", "noname"), "runs/noname.jpg");
}

TEST(OutputNames, KeepImagesApart) {
  OutputNames names;
  EXPECT_EQ(names.take("a/p.png"), "p");
  EXPECT_EQ(names.take("b/p.png"), "p2");
  EXPECT_EQ(names.take("b/p.jpg"), "p3");
  EXPECT_EQ(names.take("c/p2.png"), "p22");
  EXPECT_EQ(names.take("c/P.png"), "P4");
  EXPECT_EQ(names.take("c/q.tar.png"), "q.tar");
}

TEST(AsciiText, Transliterates) {
  EXPECT_EQ(ascii_text("plain"), "plain");
  EXPECT_EQ(ascii_text("Überfall in Łódź, señor"), "Ueberfall in Lodz, senor");
  EXPECT_EQ(ascii_text("Автобус ещё"), "Avtobus eshchyo");
  EXPECT_EQ(ascii_text("λεωφορείο"), "leoforeio");
  EXPECT_EQ(ascii_text("e\xcc\x81"), "e");
  EXPECT_EQ(ascii_text("公交\t\xff\xe5"), "?? ??");
  EXPECT_EQ(ascii_text("\xf0\x9f\x9a\x8c"), "?");
}

TEST(Draw, EveryImageSizeAndEveryBoxIsSafe) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  std::vector<Detection> odd = three();
  odd.push_back({{nan, 0, 5, 5}, 0.5f, 3, 0});
  odd.push_back({{-inf, 0, inf, 5}, 0.5f, 3, 0});
  odd.push_back({{-1e30f, -1e30f, 1e30f, 1e30f}, 0.5f, 3, 0});
  odd.push_back({{50, 50, 10, 10}, 0.5f, -5, 0});
  for (auto [width, height] : {std::pair{1, 1}, {2, 3}, {64, 48}, {4000, 20}, {20, 4000}, {640, 480}}) {
    image::Image image(width, height, 90);
    draw_detections(image, odd, kNames);
    EXPECT_NE(image, image::Image(width, height, 90)) << width << " x " << height;
  }
}

TEST(Draw, BoxAndLabelHaveTheColourOfTheClass) {
  image::Image image(640, 480, 90);
  std::vector<Detection> one = {{{200, 200, 400, 400}, 0.9f, 1, 0}};
  draw_detections(image, one, kNames);
  auto colour_at = [&](int x, int y) {
    const uint8_t* pixel = image.row(y) + 3 * x;
    return std::array<uint8_t, 3>{pixel[0], pixel[1], pixel[2]};
  };
  EXPECT_EQ(colour_at(200, 300), class_colour(1));  // the left line
  EXPECT_EQ(colour_at(201, 195), class_colour(1));  // the label's ground, above the box
  EXPECT_EQ(colour_at(300, 300), (std::array<uint8_t, 3>{90, 90, 90}));
  EXPECT_EQ(line_width({640, 480}), 2);
  EXPECT_EQ(line_width({6000, 5000}), 16);
  EXPECT_NE(class_colour(0), class_colour(1));
  EXPECT_EQ(class_colour(3), class_colour(23));
}

// A label and its lines hide little of a small picture, too: of 160 x 120 less than a twelfth.
TEST(Draw, SmallPicturesHaveThinLinesAndSmallLetters) {
  image::Image image(160, 120, 90);
  draw_detections(image, std::vector<Detection>{{{40, 50, 100, 110}, 0.9f, 0, 0}}, kNames);
  int hidden = 0;
  for (int y = 0; y < 120; ++y)
    for (int x = 0; x < 160; ++x) hidden += image.row(y)[3 * x] != 90 || image.row(y)[3 * x + 1] != 90;
  EXPECT_LT(hidden, 160 * 120 / 12);
  EXPECT_EQ(line_width({160, 120}), 1);
  EXPECT_EQ(line_width({320, 320}), 2);
}

TEST(Draw, RegionsAreHatchedInGreyWithinTheImage) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  image::Image image(40, 30, 90);
  draw_regions(image, std::vector<Box<ImagePixels>>{{10, 10, 100, 20}, {nan, 0, 9, 9}});
  for (int y = 0; y < 30; ++y)
    for (int x = 0; x < 40; ++x) {
      const bool inside = x >= 10 && y >= 10 && y <= 20;
      const bool drawn = inside && (x == 10 || x == 39 || y == 10 || y == 20 || (x + y) % 10 < 2);
      for (int c = 0; c < 3; ++c) ASSERT_EQ(image.row(y)[3 * x + c], drawn ? 160 : 90) << x << " " << y;
    }
  image::Image tiny(1, 1, 90);
  draw_regions(tiny, std::vector<Box<ImagePixels>>{{-1e30f, -5, 1e30f, 5}});
  EXPECT_EQ(tiny.row(0)[0], 160);
}

// A box at the very top has its label inside, one at the right edge has it moved left.
TEST(Draw, LabelsStayInside) {
  image::Image image(640, 480, 90);
  std::vector<Detection> corner = {{{600, 0, 640, 300}, 0.9f, 0, 0}};
  draw_detections(image, corner, kNames);
  int coloured = 0;
  for (int x = 0; x < 600; ++x) {
    const uint8_t* pixel = image.row(6) + 3 * x;
    coloured += std::equal(pixel, pixel + 3, class_colour(0).begin());
  }
  EXPECT_GT(coloured, 20);
}

// Two boxes at almost the same place: both names can be read.
TEST(Draw, LabelsDoNotCoverEachOther) {
  const auto coloured = [](const image::Image& image, int class_id) {
    int count = 0;
    for (int y = 0; y < image.height(); ++y)
      for (int x = 0; x < image.width(); ++x) {
        const uint8_t* pixel = image.row(y) + 3 * x;
        count += std::equal(pixel, pixel + 3, class_colour(class_id).begin());
      }
    return count;
  };
  const Detection first = {{200, 200, 260, 260}, 0.9f, 0, 0}, second = {{204, 203, 262, 264}, 0.8f, 1, 0};
  image::Image both(640, 480, 90), alone(640, 480, 90);
  draw_detections(both, std::vector{first, second}, kNames);
  draw_detections(alone, std::vector{second}, kNames);
  EXPECT_GT(coloured(both, 1), coloured(alone, 1) * 4 / 5);  // a covered label would lose a third
}

}  // namespace
}  // namespace marrow::detect
