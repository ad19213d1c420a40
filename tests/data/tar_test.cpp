// Archives, sound and hostile.
#include "marrow/data/shards/tar.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "support/message_of.h"

namespace marrow::data {
namespace {

std::string member(const std::string& name, const std::string& content) {
  std::string bytes = tar_header(name, content.size()) + content;
  return bytes + std::string(tar_padding(content.size()), '\0');
}

// With the checksum set right again.
std::string changed(std::string header, size_t at, const std::string& text) {
  header.replace(at, text.size(), text);
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (size_t i = 0; i < kTarBlock; ++i) sum += static_cast<unsigned char>(header[i]);
  char digits[9];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  header.replace(148, 7, std::string(digits, 6) + '\0');
  return header;
}

std::vector<TarMember> members_of(const std::string& tar, bool* ended = nullptr) {
  std::vector<TarMember> members;
  const bool has_end = visit_tar(source_of(std::as_bytes(std::span(tar))), "a.tar",
                                 [&](const TarMember& found) { members.push_back(found); });
  if (ended != nullptr) *ended = has_end;
  return members;
}

std::string refusal(const std::string& tar) {
  return testing::message_of([&] { members_of(tar); });
}

TEST(Tar, GivesBackWhatWasWritten) {
  const std::string deep = std::string(300, 'd') + "/a.jpg";
  const std::string tar =
      member("a.jpg", "12345") + member(deep, std::string(1024, 'x')) + member("b", "") + tar_end();
  bool ended = false;
  const std::vector<TarMember> members = members_of(tar, &ended);
  ASSERT_EQ(members.size(), 3u);
  EXPECT_TRUE(ended);
  EXPECT_EQ(members[0].name, "a.jpg");
  EXPECT_EQ(tar.substr(members[0].offset, members[0].bytes), "12345");
  EXPECT_EQ(members[1].name, deep);
  EXPECT_EQ(members[1].bytes, 1024u);
  EXPECT_EQ(members[2].bytes, 0u);
  for (const TarMember& found : members)
    EXPECT_TRUE(is_tar_header(std::as_bytes(std::span(tar)).subspan(found.offset - kTarBlock, kTarBlock)));
}

TEST(Tar, ReadsBinarySizesAndPrefixesAndOldNames) {
  // GNU's size in base 256, and its longer name.
  std::string binary(12, '\0');
  binary[0] = '\x80';
  binary[11] = 5;
  const std::string text = "long/" + std::string(200, 'n');
  std::string name = changed(member("././@LongLink", text), 156, "L");
  const std::string tar = changed(tar_header("a", 0), 124, binary) + "12345" + std::string(507, '\0') +
                          changed(tar_header("b", 0), 345, "folder") + name + tar_header("cut", 0) +
                          tar_end();
  const std::vector<TarMember> members = members_of(tar);
  ASSERT_EQ(members.size(), 3u);
  EXPECT_EQ(members[0].bytes, 5u);
  EXPECT_EQ(members[1].name, "folder/b");
  EXPECT_EQ(members[2].name, text);
}

TEST(Tar, LinksAndFoldersHaveNoContent) {
  for (const char type : {'1', '2', '3', '5', '6'}) {
    const std::string tar =
        changed(tar_header("a", 1 << 20), 156, std::string(1, type)) + member("b", "1") + tar_end();
    const std::vector<TarMember> members = members_of(tar);
    ASSERT_EQ(members.size(), 2u) << type;
    EXPECT_FALSE(members[0].is_file);
    EXPECT_EQ(members[1].name, "b");
  }
}

TEST(Tar, NamesAreOnlyNames) {
  EXPECT_EQ(members_of(member("../../etc/passwd", "1") + tar_end())[0].name, "../../etc/passwd");
  EXPECT_EQ(members_of(member("/absolute", "1") + tar_end())[0].name, "/absolute");
}

TEST(Tar, SaysWhenItHasNoEnd) {
  bool ended = true;
  EXPECT_EQ(members_of(member("a", "1"), &ended).size(), 1u);
  EXPECT_FALSE(ended);
}

TEST(Tar, RefusesWhatContradictsItself) {
  EXPECT_EQ(refusal(""), "a.tar: is empty, and no tar");
  EXPECT_EQ(refusal(std::string(600, 'x')), "a.tar: byte 0: is no tar");
  EXPECT_NE(refusal("PK").find("ends within a header"), std::string::npos);
  const std::string sound = member("a.jpg", std::string(700, 'x'));
  EXPECT_EQ(refusal(sound.substr(0, 900)),
            "a.tar: byte 0: 'a.jpg' has 700 bytes by its header, and the archive ends 388 bytes behind it; "
            "cut off?");
  std::string damaged = sound + sound;
  damaged[sound.size() + 3] = '!';
  EXPECT_EQ(refusal(damaged), "a.tar: byte 1536: the header's checksum is wrong; the archive is damaged");
  EXPECT_NE(refusal(changed(tar_header("a", 0), 124, "99999999999")).find("is no number"), std::string::npos);
  for (const char first : {'\x80', '\xff'})  // too large, and negative
    EXPECT_NE(refusal(changed(tar_header("a", 0), 124, std::string(1, first) + std::string(11, '\xff')))
                  .find("is no number"),
              std::string::npos);
  EXPECT_NE(refusal(changed(tar_header("a", 0), 124, "77777777777")).find("has 8589934591 bytes"),
            std::string::npos);
  EXPECT_NE(refusal(changed(tar_header("a", 0), 156, "S")).find("a sparse file"), std::string::npos);
}

TEST(Tar, RefusesExtendedHeadersWithoutSense) {
  const auto pax = [](const std::string& records) {
    return changed(tar_header("PaxHeader", records.size()), 156, "x") + records +
           std::string(tar_padding(records.size()), '\0') + member("a", "1") + tar_end();
  };
  EXPECT_EQ(members_of(pax("12 path=b/c\n"))[0].name, "b/c");
  for (const char* records : {"99999 path=b\n", "12 path=b/cX", "3 a\n", "path=b\n", "-1 path=b\n",
                              "99999999999999999999 path=b\n", "8 path:\n"})
    EXPECT_NE(refusal(pax(records)).find("makes no sense"), std::string::npos) << records;
  EXPECT_NE(refusal(pax("10 size=x\n")).find("the size 'x'"), std::string::npos);
  EXPECT_NE(refusal(pax("29 size=18446744073709551615\n")).find("has 18446744073709551615 bytes"),
            std::string::npos);
  EXPECT_NE(refusal(pax("22 GNU.sparse.major=1\n")).find("sparse"), std::string::npos);
  std::string huge = changed(tar_header("PaxHeader", kMostPaxBytes + 1), 156, "x");
  huge.resize(huge.size() + kMostPaxBytes + 4096);
  EXPECT_NE(refusal(huge).find("at most 1048576 are read"), std::string::npos);
}

}  // namespace
}  // namespace marrow::data
