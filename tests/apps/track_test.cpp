// `marrow track` as a process: recorded detections and folders of frames.
#include <gtest/gtest.h>

#include <set>

#include "apps/program.h"
#include "marrow/image/encode.h"
#include "marrow/image/scene.h"
#include "track/recorded_sequences.h"

namespace marrow::apps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::lines_of;
using testing::ProgramResult;
using testing::run_program;

class Track : public ::testing::Test {
 protected:
  // Two objects that walk towards each other below and above a line.
  fs::path detections() const {
    std::string text;
    for (int frame = 1; frame <= 10; ++frame)
      text += fmt::format("{},-1,{},20,20,40,0.9\n{},-1,{},120,20,40,0.8\n", frame, 10 * frame, frame,
                          150 - 10 * frame);
    testing::write_text(folder_ / "det.txt", text);
    return folder_ / "det.txt";
  }

  ProgramResult track(std::vector<std::string> more) const {
    more.insert(more.begin(), "track");
    return run_program(more, {.folder = folder_.path()});
  }

  const testing::TemporaryFolder folder_;
};

TEST_F(Track, FollowsRecordedDetectionsAndScoresThem) {
  detections();
  const ProgramResult result = track({"--detections", "det.txt", "--mot", "out.txt", "--line",
                                      "mid=80,0,80,200", "--zone", "0,0,60,0,60,60,0,60"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 12u) << result.out;
  EXPECT_EQ(lines[0], "frame 1: 2 objects; mid: 0 in, 0 out; zone 1: 1 inside, 1 in all");
  EXPECT_EQ(lines[10], "Tracks saved to out.txt");
  EXPECT_EQ(lines[11], "Counted: mid: 1 in, 1 out; zone 1: 0 inside, 1 in all");
  EXPECT_EQ(lines_of(testing::read_text(folder_ / "out.txt")).size(), 20u);
  const ProgramResult scored = track({"--detections", "det.txt", "--eval", "out.txt", "--json"});
  EXPECT_SAYS(scored.err, "MOTA 1.000, IDF1 1.000, HOTA 1.000");
  const auto json_lines = lines_of(scored.out);
  ASSERT_EQ(json_lines.size(), 11u);
  const json second = json::parse(json_lines[1]);
  EXPECT_EQ(second["frame"], 2);
  EXPECT_EQ(second["detections"][1]["track_id"], 2);
  EXPECT_EQ(second["detections"][1]["name"], "object");
  EXPECT_EQ(json::parse(json_lines[10])["scores"]["IDSW"], 0);
}

TEST_F(Track, DrawsAndSavesFrames) {
  const fs::path model = testing::write_detector(folder_ / "detector.safetensors");
  fs::create_directory(folder_ / "in");
  for (int i = 1; i <= 3; ++i)
    testing::write_text(folder_ / "in" / fmt::format("f{}.png", i),
                        image::encode_png(image::draw_scene(80, 60, 1).pixels()));
  const ProgramResult result =
      track({"detector.safetensors", "--source", "in", "--imgsz", "64", "--max-det", "4", "--tracker",
             "bytetrack.yaml", "--conf", "0.001", "--save-txt", "--json", "--line", "10,10,70,50"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 3u) << result.out;
  const json last = json::parse(lines[2]);
  EXPECT_EQ(last["image"], "in/f3.png");
  EXPECT_EQ(last["width"], 80);
  EXPECT_EQ(last["lines"][0]["name"], "line 1");
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(fs::exists(folder_ / fmt::format("runs/detect/track/f{}.png", i)));
  // Recorded detections on pictures, which tell how the camera moves.
  detections();
  const ProgramResult recorded =
      track({"--detections", "det.txt", "--source", "in/*.png", "--no-save", "--tracker", "botsort"});
  EXPECT_EQ(recorded.code, 0) << recorded.err;
  EXPECT_SAYS(recorded.out, "image 3/3 in/f3.png: 2 objects");
}

TEST_F(Track, CountsFramesThatCannotBeRead) {
  detections();
  fs::create_directory(folder_ / "in");
  for (int i = 1; i <= 4; ++i)
    testing::write_text(folder_ / "in" / fmt::format("f{}.png", i),
                        i == 2 ? "broken" : image::encode_png(image::draw_scene(80, 60, 1).pixels()));
  const ProgramResult result =
      track({"--detections", "det.txt", "--source", "in", "--no-save", "--mot", "out.txt"});
  EXPECT_EQ(result.code, 1);
  EXPECT_SAYS(result.err, "image 2/4 skipped: in/f2.png");
  EXPECT_SAYS(result.err, "1 of 4 images could not be read");
  const std::string tracks = testing::read_text(folder_ / "out.txt");
  EXPECT_EQ(tracks.find("\n2,"), std::string::npos);
  EXPECT_SAYS(tracks, "\n4,");
  const ProgramResult none = track({"--detections", "det.txt", "--source", "in/f2.png"});
  EXPECT_EQ(none.code, 1);
  EXPECT_FALSE(fs::exists(folder_ / "runs"));
}

TEST_F(Track, MeetsTheRecordedSequences) {
  const auto files = testing::golden_files("track/sequences", {".json"});
  MARROW_NEEDS_GOLDEN(files, "recorded sequences of tracks");
  for (const auto& file : files) {
    const json sequence = testing::read_json(file);
    SCOPED_TRACE(file.filename().string());
    std::string text;
    const auto& frames = sequence.at("detections");
    for (size_t i = 0; i < frames.size(); ++i)
      for (const json& d : frames[i])
        text += fmt::format("{},-1,{},{},{},{},{}\n", i + 1, d[0].get<double>(), d[1].get<double>(),
                            std::max(d[2].get<double>() - d[0].get<double>(), 0.0),
                            std::max(d[3].get<double>() - d[1].get<double>(), 0.0), d[4].get<double>());
    testing::write_text(folder_ / "det.txt", text);
    const ProgramResult result =
        track({"--detections", "det.txt", "--tracker", "bytetrack.yaml", "--mot", "out.txt"});
    ASSERT_EQ(result.code, 0) << result.err;
    // Ids as they were recorded, frame by frame.
    std::map<int64_t, std::set<int64_t>> ids, recorded;
    for (const std::string& line : lines_of(testing::read_text(folder_ / "out.txt"))) {
      int64_t frame = 0, id = 0;
      char comma = 0;
      std::istringstream(line) >> frame >> comma >> id;
      ids[frame].insert(id);
    }
    const auto& tracks = sequence.at("runs").at("bytetrack").at("tracks");
    for (size_t i = 0; i < tracks.size(); ++i)
      for (const json& row : tracks[i]) recorded[static_cast<int64_t>(i) + 1].insert(row[0].get<int64_t>());
    EXPECT_EQ(ids, recorded);
  }
}

TEST_F(Track, SaysWhatItNeeds) {
  const auto refused = [&](std::vector<std::string> more, const std::string& message, int code = 2) {
    const ProgramResult result = track(std::move(more));
    EXPECT_EQ(result.code, code);
    EXPECT_SAYS(result.err, message);
    EXPECT_FALSE(fs::exists(folder_ / "runs"));
  };
  detections();
  refused({}, "--model: wanted, or recorded detections");
  refused({"m.pt", "--detections", "det.txt"}, "leave --model out");
  refused({"m.pt"}, "--source: wanted");
  refused({"--detections", "det.txt", "--tracker", "bytetrac.yaml"}, "Did you mean 'bytetrack.yaml'?", 1);
  refused({"--detections", "det.txt", "--line", "1,2,3"}, "a point has two numbers");
  refused({"--detections", "det.txt", "--eval", "none.txt"}, "none.txt", 1);
  refused({"--detections", "det.txt", "--save-txt"}, "--save-txt and --save-crop are for frames");
}

}  // namespace
}  // namespace marrow::apps
