#include "marrow/serve/http/compression.h"

#include <gtest/gtest.h>

#include "marrow/base/random.h"

namespace marrow::serve {
namespace {

template <class Function>
int status_of(const Function& function) {
  try {
    function();
  } catch (const HttpError& error) {
    return error.status();
  }
  return 200;
}

std::string some_text(size_t size) {
  std::string text;
  Random random(3, "text");
  while (text.size() < size) text += static_cast<char>('a' + random.below(4));
  return text;
}

Head with(const std::string& name, const std::string& value) {
  Head head;
  head.fields.push_back({name, value});
  return head;
}

TEST(Compression, UnpacksWhatItPacks) {
  for (const Coding coding : {Coding::kGzip, Coding::kDeflate, Coding::kIdentity})
    for (const size_t size : {0, 1, 65'536, 1'000'000}) {
      const std::string text = some_text(size);
      EXPECT_EQ(unpack(pack(text, coding), coding, size), text);
    }
}

TEST(Compression, StopsAtTheLimit) {
  const std::string bomb = pack(std::string(100 << 20, '\0'), Coding::kGzip);
  EXPECT_LT(bomb.size(), 1u << 20);
  EXPECT_EQ(status_of([&] { unpack(bomb, Coding::kGzip, 1 << 20); }), 413);
  EXPECT_EQ(status_of([&] { unpack(pack("abcd", Coding::kGzip), Coding::kGzip, 3); }), 413);
  EXPECT_EQ(status_of([&] { unpack(pack("abcd", Coding::kGzip), Coding::kGzip, 4); }), 200);
}

TEST(Compression, RefusesWhatIsBroken) {
  const std::string packed = pack(some_text(5000), Coding::kGzip);
  for (size_t size = 0; size < packed.size(); size += 7)
    EXPECT_EQ(status_of([&] { unpack(packed.substr(0, size), Coding::kGzip, 1 << 20); }), 400) << size;
  EXPECT_EQ(status_of([&] { unpack(packed + "x", Coding::kGzip, 1 << 20); }), 400);
  EXPECT_EQ(status_of([&] { unpack(packed + packed, Coding::kGzip, 1 << 20); }), 400);
  EXPECT_EQ(status_of([&] { unpack("no gzip", Coding::kGzip, 1 << 20); }), 400);
  EXPECT_EQ(status_of([&] { unpack(packed, Coding::kDeflate, 1 << 20); }), 400);
}

TEST(Compression, KnowsItsCodings) {
  EXPECT_EQ(content_coding({}), Coding::kIdentity);
  EXPECT_EQ(content_coding(with("content-encoding", "GZIP")), Coding::kGzip);
  EXPECT_EQ(content_coding(with("content-encoding", "deflate")), Coding::kDeflate);
  for (const char* other : {"br", "gzip, gzip", "zstd"})
    EXPECT_EQ(status_of([&] { content_coding(with("content-encoding", other)); }), 415) << other;
}

TEST(Compression, PacksWhereOneCodingIsAskedFor) {
  const auto accepted = [](const std::string& list) {
    return accepted_coding(with("accept-encoding", list));
  };
  EXPECT_EQ(accepted_coding({}), Coding::kIdentity);
  EXPECT_EQ(accepted("gzip"), Coding::kGzip);
  EXPECT_EQ(accepted("deflate;q=0.5"), Coding::kDeflate);
  EXPECT_EQ(accepted("gzip;q=0"), Coding::kIdentity);
  EXPECT_EQ(accepted("gzip, deflate, br"), Coding::kIdentity);
  EXPECT_EQ(accepted("*"), Coding::kIdentity);
  EXPECT_EQ(accepted("br"), Coding::kIdentity);
}

TEST(Accept, WeighsWhatIsWanted) {
  EXPECT_EQ(quality_of("image/jpeg", "image/jpeg"), 1);
  EXPECT_EQ(quality_of("text/html, image/*;q=0.8, */*;q=0.1", "image/jpeg"), 0.8);
  EXPECT_EQ(quality_of("text/html, image/*;q=0.8, */*;q=0.1", "application/json"), 0.1);
  EXPECT_EQ(quality_of("image/jpeg;q=0", "image/jpeg"), 0);
  EXPECT_EQ(quality_of("image/jpeg;q=2", "image/jpeg"), 0);
  EXPECT_EQ(quality_of("image/jpeg;level=1;q=0.25", "image/jpeg"), 0.25);
  EXPECT_EQ(quality_of("", "image/jpeg"), 0);
}

}  // namespace
}  // namespace marrow::serve
