#include "marrow/track/counting.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "marrow/track/draw_tracks.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::track {
namespace {

TrackedObject at(int64_t id, float x, float y) {
  return {.id = id, .box = {x - 5, y - 5, x + 5, y + 5}, .confidence = 0.5f};
}

Counter counter_of(const std::vector<std::string>& lines, const std::vector<std::string>& zones = {}) {
  return {read_lines(lines, "--line"), read_zones(zones, "--zone"), 30};
}

// One object along a way.
Counter walked(Counter counter, const std::vector<ImagePoint>& way) {
  for (const ImagePoint& point : way) counter.update(std::vector{at(1, point.x, point.y)});
  return counter;
}

TEST(CountingLine, CountsBothDirections) {
  const Counter counter =
      walked(counter_of({"100,200,500,200"}), {{300, 150}, {300, 250}, {310, 150}, {320, 260}});
  EXPECT_EQ(counter.line_counts()[0].in, 2);
  EXPECT_EQ(counter.line_counts()[0].out, 1);
  EXPECT_EQ(counter.text(), "line 1: 2 in, 1 out");
}

TEST(CountingLine, CountsOnlyBetweenItsEnds) {
  const Counter counter = counter_of({"100,200,500,200"});
  EXPECT_EQ(walked(counter, {{50, 150}, {50, 250}}).line_counts()[0].in, 0);
  EXPECT_EQ(walked(counter, {{501, 150}, {501, 250}}).line_counts()[0].in, 0);
  EXPECT_EQ(walked(counter, {{499, 150}, {499, 250}}).line_counts()[0].in, 1);
  // Around the end of the line nothing is crossed.
  EXPECT_EQ(walked(counter, {{450, 150}, {600, 150}, {600, 250}, {450, 250}}).line_counts()[0].in, 0);
}

TEST(CountingLine, CountsOnceWhereTheObjectStandsOnIt) {
  const Counter counter = counter_of({"100,200,500,200"});
  EXPECT_EQ(walked(counter, {{300, 150}, {300, 200}, {300, 200}, {300, 250}}).line_counts()[0].in, 1);
  const Counter turned = walked(counter, {{300, 150}, {300, 200}, {300, 150}});
  EXPECT_EQ(turned.line_counts()[0].in + turned.line_counts()[0].out, 0);
  EXPECT_EQ(walked(counter, {{300, 200}, {300, 250}}).line_counts()[0].in, 0);  // it began there
}

TEST(CountingLine, KnowsAnObjectAgainThatWasOutOfSight) {
  Counter counter = counter_of({"0,10,100,10"});
  counter.update(std::vector{at(1, 50, 5)});
  for (int i = 0; i < 29; ++i) counter.update({});
  counter.update(std::vector{at(1, 50, 15)});
  EXPECT_EQ(counter.line_counts()[0].in, 1);
  for (int i = 0; i < 31; ++i) counter.update({});
  counter.update(std::vector{at(1, 50, 5)});
  EXPECT_EQ(counter.line_counts()[0].out, 0);
}

TEST(Zone, CountsWhoIsInsideAndWhoHasBeen) {
  Counter counter = counter_of({}, {"yard=0,0,100,0,100,100,50,50,0,100"});  // a notch from below
  counter.update(std::vector{at(7, 50, 20), at(8, 50, 90), at(9, 10, 80)});
  EXPECT_EQ(counter.zone_counts()[0].ids, (std::vector<int64_t>{7, 9}));
  counter.update(std::vector{at(7, 50, 200), at(8, 50, 30)});
  EXPECT_EQ(counter.to_json().dump(), R"({"zones":[{"name":"yard","count":1,"visitors":3,"ids":[8]}]})");
  counter.update({});
  EXPECT_EQ(counter.text(), "yard: 0 inside, 3 in all");
}

TEST(Counting, RefusesWhatIsNoLineOrZone) {
  const auto line = [](const std::string& text) {
    return testing::message_of([&] { read_lines(std::vector{text}, "--line"); }, ErrorKind::kUsage);
  };
  const auto zone = [](const std::string& text) {
    return testing::message_of([&] { read_zones(std::vector{text}, "--zone"); }, ErrorKind::kUsage);
  };
  EXPECT_EQ(line("1,2,x,4"), "--line: '1,2,x,4': 'x' is not a number of pixels");
  EXPECT_SAYS(line("1,2,3"), "a point has two numbers");
  EXPECT_SAYS(line(""), "'' is not a number of pixels");
  EXPECT_SAYS(line("1,2,nan,4"), "'nan' is not a number of pixels");
  EXPECT_SAYS(line("1,2,1e30,4"), "'1e30' is not a number of pixels");
  EXPECT_SAYS(line("1,2,3,4,5,6"), "a line is x1,y1,x2,y2");
  EXPECT_SAYS(line("1,2,1,2"), "two different points");
  EXPECT_SAYS(line("=1,2,3,4"), "a name stands before");
  EXPECT_SAYS(zone("0,0,5,5"), "with 3 to 1000 corners");
  EXPECT_SAYS(zone("0,0,5,5,10,10"), "a zone has an area");
  EXPECT_SAYS(testing::message_of([] {
                read_lines(std::vector<std::string>{"a=0,0,1,1", "a=0,0,2,2"}, "--line");
              }),
              "there is another 'a'");
}

TEST(DrawCounts, DrawsPlacesInsideAndOutsideThePicture) {
  image::Image image(60, 40, 90);
  const image::Image before = image;
  Counter counter = counter_of({"door=-1e6,20,1e6,20"}, {"0,0,1e6,0,1e6,1e6"});
  counter.update(std::vector{at(1, 30, 10)});
  draw_counts(image, counter);
  EXPECT_FALSE(image == before);
  TrackPainter painter;
  for (int i = 0; i < 100; ++i) painter.update(std::vector{at(1, 30, static_cast<float>(i))});
  image::Image trail = before;
  painter.draw_trails(trail, std::vector{at(1, 30, 10)});
  EXPECT_EQ(trail.row(10)[0], 90);  // longer ago than a trail is
  painter.draw_trails(trail, std::vector{at(2, 30, 10)});
  EXPECT_TRUE(trail == before);
}

}  // namespace
}  // namespace marrow::track
