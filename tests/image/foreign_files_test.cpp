// Files that are no images, but that people hand over as such, are called what they are.
#include <gtest/gtest.h>

#include <span>
#include <string>

#include "marrow/image/decode.h"
#include "support/expect_says.h"
#include "support/message_of.h"

namespace marrow::image {
namespace {

std::string refusal(const std::string& content) {
  return testing::message_of([&] { decode_image(std::as_bytes(std::span(content)), "f"); },
                             ErrorKind::kUnsupported);
}

TEST(ForeignFiles, VideosAreCalledVideos) {
  using namespace std::string_literals;
  std::string stream(1000, '.');
  for (const size_t at : {0, 188, 376}) stream[at] = 'G';
  for (const std::string& film :
       {"\0\0\0\x18"s + "ftypisom....", "\0\0\0\x14"s + "ftypqt  ....", "\0\0\0\x1c"s + "ftyp3gp5....",
        "\0\0\0\x08"s + "wide\0\0\0\0mdat"s, "RIFF\1\2\3\4AVI LIST"s, "\x1a\x45\xdf\xa3...."s, "FLV\x01...."s,
        "\0\0\1\xba...."s, "OggS...."s, "\x30\x26\xb2\x75\x8e\x66\xcf\x11...."s, stream})
    EXPECT_SAYS(refusal(film), "f: a video; take single images out of it first. Images are read: JPEG, PNG");
}

TEST(ForeignFiles, ImagesOfMpeg4AreNoVideos) {
  using namespace std::string_literals;
  for (const char* brand : {"heic", "mif1", "avif"})
    EXPECT_SAYS(refusal("\0\0\0\x18"s + "ftyp" + brand + "...."), "HEIC or AVIF");
}

TEST(ForeignFiles, OthersHaveTheirNames) {
  EXPECT_SAYS(refusal("%PDF-1.7\n"), "a PDF document");
  EXPECT_SAYS(refusal(std::string(128, '\0') + "DICM...."), "DICOM");
  EXPECT_SAYS(refusal("PK\x03\x04...."), "a ZIP archive");
  EXPECT_SAYS(refusal("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull");
  EXPECT_SAYS(refusal("<!DOCTYPE html><html>"), "a web page");
}

}  // namespace
}  // namespace marrow::image
