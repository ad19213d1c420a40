#include "marrow/weights/torch/zip_reader.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "pickle_writer.h"

namespace marrow::weights {
namespace {

using testing::little_endian;
using testing::make_zip;
using testing::ZipEntry;
using testing::ZipQuirks;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string content(ZipReader& zip, std::string_view name) {
  const auto bytes = zip.read(name);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const std::vector<ZipEntry> kEntries = {
    {"net/data.pkl", "pickle"}, {"net/data/0", ""}, {"net/data/1", "12345678"}};

void expect_broken(const std::string& file) {
  EXPECT_THROW(ZipReader(bytes_of(file), "test"), Error);
}

TEST(ZipReader, ReadsStoredEntries) {
  for (const bool zip64 : {false, true})
    for (const bool descriptor : {false, true}) {
      ZipQuirks quirks;
      quirks.zip64 = zip64;
      quirks.data_descriptor = descriptor;
      const std::string file = make_zip(kEntries, quirks);
      ASSERT_TRUE(ZipReader::looks_like_zip(bytes_of(file)));
      ZipReader zip(bytes_of(file), "test");
      EXPECT_EQ(zip.entries().size(), 3u);
      for (const ZipEntry& entry : kEntries) EXPECT_EQ(content(zip, entry.name), entry.content);
      EXPECT_THROW(zip.read("net/data/2"), Error);
    }
}

TEST(ZipReader, AllowsAComment) {
  std::string file = make_zip(kEntries);
  file.replace(file.size() - 2, 2, little_endian(5, 2));
  file += "hello";
  EXPECT_EQ(ZipReader(bytes_of(file), "test").entries().size(), 3u);
}

TEST(ZipReader, RefusesCompressedAndEncryptedEntries) {
  ZipQuirks deflated;
  deflated.method = 8;
  expect_broken(make_zip(kEntries, deflated));
  ZipQuirks encrypted;
  encrypted.flags = 1;
  expect_broken(make_zip(kEntries, encrypted));
}

TEST(ZipReader, RefusesTwoEntriesOfOneName) {
  expect_broken(make_zip({{"a", "1"}, {"a", "2"}}));
}

TEST(ZipReader, FindsDamagedData) {
  std::string file = make_zip(kEntries);
  file[file.find("12345678")] = '9';
  ZipReader zip(bytes_of(file), "test");
  EXPECT_EQ(content(zip, "net/data.pkl"), "pickle");
  try {
    zip.read("net/data/1");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "test: broken zip archive: the entry net/data/1 is damaged: its checksum is wrong");
  }
}

TEST(ZipReader, RefusesEntriesThatOverlapOrLeaveTheFile) {
  const std::string file = make_zip(kEntries);
  const size_t directory = file.find("PK\x01\x02");
  const size_t second = file.find("PK\x01\x02", directory + 4);
  std::string overlapping = file;  // the second entry's header is the first's, name and all
  overlapping.replace(second + 42, 4, little_endian(0, 4));
  expect_broken(overlapping);
  std::string outside = file;
  outside.replace(directory + 42, 4, little_endian(file.size() + 5, 4));
  expect_broken(outside);
  std::string too_long = file;
  too_long.replace(directory + 20, 8, little_endian(1u << 30, 4) + little_endian(1u << 30, 4));
  expect_broken(too_long);
  std::string into_directory = file;  // the last entry swallows the directory
  const size_t third = file.find("PK\x01\x02", second + 4);
  into_directory.replace(third + 20, 8, little_endian(40, 4) + little_endian(40, 4));
  expect_broken(into_directory);
}

TEST(ZipReader, RefusesImpossibleDirectories) {
  const std::string file = make_zip(kEntries);
  const size_t end = file.rfind("PK\x05\x06");
  std::string many = file;
  many.replace(end + 8, 4, "\xff\xff\xff\xff");
  expect_broken(many);
  std::string large = file;
  large.replace(end + 12, 4, little_endian(0xfffffff0, 4));
  expect_broken(large);
  std::string volumes = file;
  volumes.replace(end + 4, 2, little_endian(1, 2));
  expect_broken(volumes);
  ZipQuirks quirks;
  quirks.zip64 = true;
  std::string huge = make_zip(kEntries, quirks);
  const size_t end64 = huge.rfind("PK\x06\x06");
  huge.replace(end64 + 32, 8, little_endian(1ull << 60, 8));
  expect_broken(huge);
}

TEST(ZipReader, EveryTruncationIsAnError) {
  const std::string file = make_zip(kEntries);
  for (size_t size = 0; size < file.size(); ++size) expect_broken(file.substr(0, size));
}

}  // namespace
}  // namespace marrow::weights
