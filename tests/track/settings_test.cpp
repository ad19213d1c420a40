#include <gtest/gtest.h>

#include <fstream>

#include "marrow/track/tracker_settings.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "support/temporary_folder.h"

namespace marrow::track {
namespace {

using testing::message_of;

// As Ultralytics ships it, with comments.
constexpr const char* kBotSort = R"(# BoT-SORT
tracker_type: botsort # the tracker
track_high_thresh: 0.3
track_low_thresh: 0.05
new_track_thresh: 0.4
track_buffer: 60
match_thresh: 0.9
fuse_score: False
gmc_method: none
proximity_thresh: 0.5
appearance_thresh: 0.8
with_reid: False
model: auto
)";

TEST(TrackerSettings, AreReadFromTheYamlThatUsersHave) {
  const TrackerSettings settings = parse_tracker_settings(kBotSort, "b.yaml");
  EXPECT_EQ(settings, (TrackerSettings{TrackerType::kBotSort, 0.3f, 0.05f, 0.4f, 60, 0.9, false, false}));
  EXPECT_EQ(parse_tracker_settings("tracker_type: bytetrack", "b.yaml"),
            default_settings(TrackerType::kByteTrack));
  EXPECT_EQ(parse_tracker_settings("tracker_type: botsort", "b.yaml"),
            default_settings(TrackerType::kBotSort));
}

TEST(TrackerSettings, HaveNamesWithoutFiles) {
  for (const std::string& name : tracker_names()) {
    EXPECT_EQ(read_tracker_settings(name), read_tracker_settings(name.substr(0, name.size() - 5)));
  }
  EXPECT_TRUE(read_tracker_settings("botsort.yaml").camera_motion);
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "bytetrack.yaml") << kBotSort;
  EXPECT_EQ(read_tracker_settings((folder / "bytetrack.yaml").string()).buffer, 60);
}

TEST(TrackerSettings, SayWhatIsWrongAndWhere) {
  const auto message = [](const std::string& yaml, ErrorKind kind) {
    return message_of([&] { parse_tracker_settings(yaml, "t.yaml"); }, kind);
  };
  const std::string type = "tracker_type: bytetrack\n";
  EXPECT_SAYS(message(type + "track_buffr: 3", ErrorKind::kFormat),
              "t.yaml:2: unknown key 'track_buffr'. Did you mean 'track_buffer'?");
  EXPECT_SAYS(message(type + "track_buffer: 2.5", ErrorKind::kFormat), "t.yaml:2: track_buffer: ");
  EXPECT_SAYS(message(type + "track_buffer: 1e9", ErrorKind::kFormat), "a whole number of 0..100000");
  EXPECT_SAYS(message(type + "track_buffer: -1", ErrorKind::kFormat), "a whole number of 0..100000");
  EXPECT_SAYS(message(type + "match_thresh: .nan", ErrorKind::kFormat), "is not a number of 0..1");
  EXPECT_SAYS(message(type + "match_thresh: [1]", ErrorKind::kFormat), "is not a number of 0..1");
  EXPECT_SAYS(message(type + "fuse_score: maybe", ErrorKind::kFormat), "t.yaml:2: fuse_score: ");
  EXPECT_SAYS(message(type + "gmc_method: none", ErrorKind::kFormat), "unknown key 'gmc_method'");
  EXPECT_SAYS(message("tracker_type: bytetrak", ErrorKind::kFormat), "Did you mean 'bytetrack'?");
  EXPECT_SAYS(message("tracker_type: ocsort", ErrorKind::kUnsupported), "it has bytetrack and botsort");
  EXPECT_SAYS(message("tracker_type: botsort\nwith_reid: True", ErrorKind::kUnsupported),
              "t.yaml:2: with_reid: ");
  EXPECT_SAYS(message("tracker_type: botsort\ngmc_method: sift", ErrorKind::kUnsupported),
              "does not have 'sift'");
  EXPECT_SAYS(message("tracker_type: botsort\ngmc_method: sparse", ErrorKind::kFormat),
              "unknown method 'sparse'");
  EXPECT_SAYS(message("track_buffer: 3", ErrorKind::kFormat), "tracker_type: missing; bytetrack or botsort");
  EXPECT_SAYS(message("[1, 2]", ErrorKind::kFormat), "expected keys such as tracker_type");
  EXPECT_SAYS(message("", ErrorKind::kFormat), "expected keys such as tracker_type");
  EXPECT_SAYS(message_of([] { read_tracker_settings("bytetrac.yaml"); }, ErrorKind::kFile),
              "Did you mean 'bytetrack.yaml'?");
  EXPECT_SAYS(message_of([] { read_tracker_settings("tracktrack.yaml"); }, ErrorKind::kUnsupported),
              "it has bytetrack.yaml and botsort.yaml");
}

}  // namespace
}  // namespace marrow::track
