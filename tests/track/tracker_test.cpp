#include "marrow/track/tracker.h"

#include <gtest/gtest.h>

#include <limits>

#include "track/recorded_sequences.h"

namespace marrow::track {
namespace {

using nlohmann::json;

void expect_frame(const json& recorded, const std::vector<TrackedObject>& shown) {
  ASSERT_EQ(shown.size(), recorded.size());
  for (size_t i = 0; i < shown.size(); ++i) {
    const json& row = recorded[i];
    EXPECT_EQ(shown[i].id, row[0].get<int64_t>());
    for (size_t c = 0; c < 4; ++c) EXPECT_NEAR(shown[i].box.corners()[c], row[1 + c].get<float>(), 0.02);
    EXPECT_NEAR(shown[i].confidence, row[5].get<float>(), 1e-4);
    EXPECT_EQ(shown[i].class_id, row[6].get<int>());
    EXPECT_EQ(shown[i].detection, row[7].get<size_t>());
  }
}

TEST(Tracker, EqualsEveryRecordedRun) {
  const auto files = testing::golden_files("track/sequences", {".json"});
  MARROW_NEEDS_GOLDEN(files, "recorded sequences of tracks");
  for (const auto& file : files) {
    const json sequence = testing::read_json(file);
    for (const auto& [name, run] : sequence.at("runs").items()) {
      SCOPED_TRACE(file.filename().string() + " " + name);
      const auto frames = testing::run_recorded(sequence, run);
      ASSERT_EQ(frames.size(), run.at("tracks").size());
      for (size_t i = 0; i < frames.size(); ++i) {
        SCOPED_TRACE("frame " + std::to_string(i + 1));
        expect_frame(run["tracks"][i], frames[i]);
        if (HasFailure()) return;
      }
    }
  }
}

detect::Detection detection(float x, float y, float score, int class_id = 0) {
  return {{x, y, x + 20, y + 40}, score, class_id};
}

TEST(Tracker, ShowsAnObjectFromItsSecondDetectionOnExceptInTheFirstFrame) {
  Tracker tracker(default_settings(TrackerType::kByteTrack));
  EXPECT_EQ(tracker.update(std::vector{detection(10, 10, 0.9f)}).size(), 1u);
  EXPECT_FALSE(tracker.has_unconfirmed());
  const std::vector both = {detection(11, 10, 0.9f), detection(200, 10, 0.8f, 3)};
  EXPECT_EQ(tracker.update(both).size(), 1u);
  EXPECT_TRUE(tracker.has_unconfirmed());
  const auto shown = tracker.update(both);
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[0].id, 1);
  EXPECT_EQ(shown[1].id, 2);
  EXPECT_EQ(shown[1].class_id, 3);
  EXPECT_EQ(shown[1].detection, 1u);
}

TEST(Tracker, LeavesOutWhatIsNoBox) {
  constexpr float kInf = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  for (const TrackerType type : {TrackerType::kByteTrack, TrackerType::kBotSort}) {
    Tracker tracker(default_settings(type));
    std::vector<detect::Detection> broken(6, detection(10, 10, 0.9f));
    broken[0].box.x2 = kNan;
    broken[1].box.y2 = kInf;
    broken[2].box.x2 = broken[2].box.x1;
    broken[3].box.y2 = broken[3].box.y1 - 1;
    broken[4].confidence = kNan;
    for (int i = 0; i < 3; ++i) {
      const auto shown = tracker.update(broken);
      ASSERT_EQ(shown.size(), 1u);
      EXPECT_EQ(shown[0].detection, 5u);
    }
  }
}

TEST(Tracker, SurvivesBoxesOfEverySize) {
  for (const TrackerType type : {TrackerType::kByteTrack, TrackerType::kBotSort}) {
    Tracker tracker(default_settings(type));
    for (int i = 0; i < 20; ++i) {
      const float side = std::pow(10.0f, static_cast<float>(i * 7 % 76) - 38.0f);
      const std::vector boxes = {detect::Detection{{0, 0, side, side}, 0.9f},
                                 detect::Detection{{-side, 0, side, 1e-30f}, 0.8f}};
      for (const TrackedObject& object : tracker.update(boxes)) EXPECT_LT(object.detection, 2u);
    }
  }
}

TEST(Tracker, RefusesAHeapOfBoxes) {
  TrackerSettings settings = default_settings(TrackerType::kByteTrack);
  settings.match_threshold = 1;
  Tracker tracker(settings);
  const std::vector<detect::Detection> heap(2001, detection(10, 10, 0.9f));
  tracker.update(heap);
  EXPECT_SAYS(testing::message_of([&] { tracker.update(heap); }, ErrorKind::kUnsupported),
              "frame 2: 2001 tracks and 2001 detections");
}

}  // namespace
}  // namespace marrow::track
