#include "marrow/evaluate/plots/gnuplot.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "marrow/base/error.h"
#include "marrow/evaluate/plots/plot_script.h"

namespace marrow::evaluate {
namespace {

TEST(Gnuplot, SaysWhichPackageIsMissing) {
  try {
    run_gnuplot("", {.program = "gnuplot-that-is-not-there"});
    FAIL() << "found it";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("gnuplot-nox"), std::string::npos) << error.what();
  }
}

TEST(Gnuplot, IsKilledWhenItHangs) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(run_gnuplot("pause 60\n", {.seconds = 0.2}), Error);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Gnuplot, ItsWordsAreInTheError) {
  try {
    run_gnuplot("plot nonsense\n");
    FAIL() << "drew nonsense";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFormat);
    EXPECT_NE(std::string(error.what()).find("nonsense"), std::string::npos) << error.what();
  }
}

// gnuplot reads the string back as it was, but for the only character that could end it.
TEST(PlotScript, QuotedTextComesThroughUnchanged) {
  for (const std::string text : {"cat", "`ls`", "a\\nb\\", "\"x\"", "@y #z", "$1", "50% %d", "{a}_b"})
    EXPECT_EQ(run_gnuplot("set print '-'\nprint " + plot_text(text) + "\n"), text + "\n");
}

TEST(PlotScript, NoQuoteCanEndAString) {
  EXPECT_EQ(plot_text("it's"), "'it\u2019s'");
  EXPECT_EQ(plot_text("''; system 'x'"), "'\u2019\u2019; system \u2019x\u2019'");
  EXPECT_EQ(tick_text("'"), "'\u2019'");
}

TEST(PlotScript, BrokenTextBecomesPrintable) {
  EXPECT_EQ(plot_text("a\nb\tc\x7f"), "'a b c '");
  EXPECT_EQ(plot_text("\xff\xc3(\xe2\x82"), "'?\?(?\?'");
  EXPECT_EQ(plot_text("\xc2\x9b"), "' '");
  EXPECT_EQ(plot_text("клетка α \U0010fffd\u202e."), "'клетка α \? .'");
  EXPECT_EQ(class_text("клетка", 3), "клетка");
  EXPECT_EQ(class_text("a\U0010fffd", 3), "3") << "question marks would all look alike";
  EXPECT_EQ(plot_text("WWWWWW", 5), "'WW\u2026'");
  EXPECT_EQ(plot_text("abcdef", 4), "'abc\u2026'");
  EXPECT_EQ(plot_text("abcd", 4), "'abcd'");
  EXPECT_EQ(plot_text("äöü", 3), "'äöü'");
  EXPECT_EQ(tick_text("5%"), "'5%%'");
}

// Colours are numbers up to 2^32, and no digit of them may be lost.
TEST(PlotScript, DataKeepsTenDigits) {
  PlotScript script(100, 100, 10);
  const std::string name = script.data(std::vector<std::vector<double>>{{1, NAN}, {0xffffff, 0x90ffffff}});
  EXPECT_NE(script.text().find(name + " << END_OF_DATA\n1 16777215\nNaN 2432696319\nEND_OF_DATA\n"),
            std::string::npos)
      << script.text();
}

TEST(PlotScript, TickStepsAreWholeAndRound) {
  EXPECT_EQ(whole_tick_step(0), 1);
  EXPECT_EQ(whole_tick_step(4), 1);
  EXPECT_EQ(whole_tick_step(29), 10);
  EXPECT_EQ(whole_tick_step(299), 100);
}

}  // namespace
}  // namespace marrow::evaluate
