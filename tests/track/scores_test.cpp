#include <fmt/core.h>
#include <gtest/gtest.h>

#include "marrow/track/overlaps.h"
#include "marrow/track/track_scores.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "track/recorded_sequences.h"

namespace marrow::track {
namespace {

using nlohmann::json;

// The scores were recorded of the recorded tracks, as they are rounded.
MotFrames recorded_result(const json& run) {
  MotFrames result;
  int64_t frame = 0;
  for (const json& rows : run.at("tracks")) {
    ++frame;
    for (const json& row : rows) {
      const double x1 = row[1], y1 = row[2], x2 = row[3], y2 = row[4];
      result[frame].push_back({row[0].get<int64_t>(), {x1, y1, x2 - x1, y2 - y1}, row[5].get<double>()});
    }
  }
  return result;
}

void expect_scores(const json& recorded, const TrackScores& scores) {
  const json found = json::parse(scores_json(scores));
  for (const auto& [name, value] : recorded.items()) {
    if (name == "motmetrics") continue;  // by another rule
    SCOPED_TRACE(name);
    ASSERT_TRUE(found.contains(name));
    if (value.is_array()) {
      ASSERT_EQ(found[name].size(), value.size());
      for (size_t i = 0; i < value.size(); ++i)
        EXPECT_NEAR(found[name][i].get<double>(), value[i].get<double>(), 1e-4);
    } else if (value.is_number_integer()) {
      EXPECT_EQ(found[name], value);
    } else {
      EXPECT_NEAR(found[name].get<double>(), value.get<double>(), 1e-4);
    }
  }
}

TEST(TrackScores, EqualTheRecordedOnes) {
  const auto folders = testing::golden_parts("track/metrics.json");
  MARROW_NEEDS_GOLDEN(folders, "recorded metrics of tracks");
  for (const auto& file : folders) {
    const json recorded = testing::read_json(file);
    std::map<std::string, TrackScores> combined;
    for (const auto& path : testing::files_below(file.parent_path() / "sequences", {".json"})) {
      const json sequence = testing::read_json(path);
      const std::string name = testing::sequence_name(path);
      const MotFrames truth = read_mot(path.parent_path() / (name + ".gt.txt"), MotKind::kTracks);
      for (const auto& [run, recorded_run] : sequence.at("runs").items()) {
        SCOPED_TRACE(name + " " + run);
        const TrackScores scores = score_tracks(truth, recorded_result(recorded_run));
        combined[run].add(scores);
        expect_scores(recorded.at(name).at(run), scores);
      }
    }
    for (const auto& [run, sums] : recorded.at("combined").items()) {
      SCOPED_TRACE("combined " + run);
      expect_scores(sums, combined[run]);
    }
  }
}

TEST(MotText, IsWrittenAsRecorded) {
  const auto files = testing::golden_files("track/mot", {".txt"});
  MARROW_NEEDS_GOLDEN(files, "recorded results as MOT text");
  for (const auto& file : files) {
    SCOPED_TRACE(file.filename().string());
    const std::string stem = file.stem().string(), name = testing::sequence_name(file);
    const json sequence = testing::read_json(file.parent_path() / "../sequences" / (name + ".json"));
    std::string text;
    int64_t frame = 0;
    for (const auto& shown :
         testing::run_recorded(sequence, sequence.at("runs").at(stem.substr(name.size() + 1))))
      text += mot_rows(++frame, shown);
    const MotFrames written = parse_mot(text, "written", MotKind::kTracks);
    const MotFrames recorded = read_mot(file, MotKind::kTracks);
    ASSERT_EQ(written.size(), recorded.size());
    for (const auto& [number, boxes] : recorded) {
      ASSERT_EQ(written.at(number).size(), boxes.size());
      for (size_t i = 0; i < boxes.size(); ++i) {
        const MotBox &ours = written.at(number)[i], &theirs = boxes[i];
        EXPECT_EQ(ours.id, theirs.id);
        EXPECT_NEAR(ours.box.x, theirs.box.x, 0.02);
        EXPECT_NEAR(ours.box.y, theirs.box.y, 0.02);
        EXPECT_NEAR(ours.box.width, theirs.box.width, 0.02);
        EXPECT_NEAR(ours.box.height, theirs.box.height, 0.02);
        EXPECT_NEAR(ours.value, theirs.value, 1e-4);
      }
    }
  }
}

TEST(MotText, TakesBlanksFloatingIdsAndFewOrManyColumns) {
  const MotFrames frames =
      parse_mot("2, 3.0, 1.5, 2, 10, 20\r\n\n 1,7,0,0,5,5,0.5,-1,-1,-1\n", "t.txt", MotKind::kTracks);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames.at(2)[0].id, 3);
  EXPECT_EQ(frames.at(2)[0].value, 1);
  EXPECT_EQ(frames.at(2)[0].box, (SizedBox<ImagePixels, double>{1.5, 2, 10, 20}));
  EXPECT_EQ(frames.at(1)[0].value, 0.5);
}

TEST(MotText, NamesTheLineOfWhatIsNoRow) {
  const auto message = [](const std::string& text, MotKind kind = MotKind::kTracks) {
    return testing::message_of([&] { parse_mot(text, "a.txt", kind); }, ErrorKind::kFormat);
  };
  EXPECT_EQ(message("1,1,0,0,5,5\n1,2,x,0,5,5\n"), "a.txt:2: 'x' is not a number");
  EXPECT_SAYS(message("1,1,0,0,5\n"), "a.txt:1: 5 columns, expected 6 to 10");
  EXPECT_SAYS(message("1,1,0,0,5,5,1,1,1,1,1,1\n"), "more than 10 columns");
  EXPECT_SAYS(message("0,1,0,0,5,5\n"), "frames count from 1");
  EXPECT_SAYS(message("1.5,1,0,0,5,5\n"), "frame 1.5 is not a whole number");
  EXPECT_SAYS(message("1,1e300,0,0,5,5\n"), "is not a whole number");
  EXPECT_SAYS(message("1,1,0,0,-5,5\n"), "a size is not below 0");
  EXPECT_SAYS(message("1,1,nan,0,5,5\n"), "'nan' is not a number");
  EXPECT_SAYS(message("1,1,1e12,0,5,5\n"), "beyond 1e+09 pixels");
  EXPECT_EQ(message("1,4,0,0,5,5\n1,4,9,9,5,5\n"), "a.txt:2: id 4 is twice in frame 1");
  EXPECT_EQ(message("1,-1,0,0,5,5\n1,-1,9,9,5,5\n", MotKind::kDetections), "nothing was thrown");
}

TEST(TrackScores, KeepABoundedNumberOfOverlaps) {
  std::string text;
  for (int frame = 1; frame <= 2; ++frame)
    for (int id = 1; id <= 3; ++id) text += fmt::format("{},{},0,0,5,5\n", frame, id);
  const MotFrames frames = parse_mot(text, "t", MotKind::kTracks);
  EXPECT_EQ(pair_up(frames, frames, 18).frames[1].overlap_of({2, 1}), 1);
  EXPECT_SAYS(testing::message_of([&] { pair_up(frames, frames, 17); }, ErrorKind::kUnsupported),
              "frame 2: more than 17 pairs of boxes overlap");
}

TEST(TrackScores, AreZeroWithoutTruthOrTracks) {
  const MotFrames some = parse_mot("1,1,0,0,5,5\n2,1,0,0,5,5\n", "t", MotKind::kTracks);
  const TrackScores missed = score_tracks(some, {}), invented = score_tracks({}, some);
  for (const TrackScores& scores : {missed, invented}) {
    EXPECT_EQ(scores.clear.mota(), 0);
    EXPECT_EQ(scores.identity.idf1(), 0);
    EXPECT_EQ(scores.hota.mean(&HotaSums::AtThreshold::hota), 0);
  }
  EXPECT_EQ(missed.clear.false_negatives, 2);
  EXPECT_EQ(missed.clear.mostly_lost, 1);
  EXPECT_EQ(invented.clear.false_positives, 2);
}

}  // namespace
}  // namespace marrow::track
