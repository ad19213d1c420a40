#include "marrow/serve/http/multipart.h"

#include <gtest/gtest.h>

#include "marrow/base/random.h"
#include "support/expect_says.h"

namespace marrow::serve {
namespace {

// The text of the HttpError, which is a 400; "" where none is thrown.
template <class Function>
std::string refusal_of(const Function& function) {
  try {
    function();
  } catch (const HttpError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.what();
  }
  return "";
}

std::string part(const std::string& boundary, const std::string& disposition, const std::string& content) {
  return "--" + boundary + "\r\nContent-Disposition: form-data; " + disposition +
         "\r\nContent-Type: image/jpeg\r\n\r\n" + content + "\r\n";
}

TEST(Multipart, ReadsWhatClientsSend) {
  struct Sent {
    const char* client;
    std::string type, body;
  };
  const std::string curl = "------------------------d74496d66958873e",
                    chrome = "----WebKitFormBoundary7MA4YWxkTrZu0gW1",
                    firefox = "---------------------------9051914041544843365972754266",
                    newer_firefox = "----geckoformboundary5b2c8f6a9d0e1f2a3b4c";
  const std::string content("\xff\xd8\r\n--\r\n--------\0\r\n", 20);
  const Sent sent[] = {
      {"curl", "multipart/form-data; boundary=" + curl,
       part(curl, "name=\"image\"; filename=\"a.jpg\"", content) + "--" + curl + "--\r\n"},
      {"Chrome", "multipart/form-data; boundary=" + chrome,
       part(chrome, "name=\"image\"; filename=\"a.jpg\"", content) + "--" + chrome + "--\r\n"},
      {"Firefox", "multipart/form-data; boundary=" + firefox,
       part(firefox, "name=\"image\"; filename=\"a.jpg\"", content) + "--" + firefox + "--\r\n"},
      {"a newer Firefox", "multipart/form-data; boundary=" + newer_firefox,
       part(newer_firefox, "name=\"image\"; filename=\"a.jpg\"", content) + "--" + newer_firefox + "--\r\n"},
      {"quoted, in other letters", "Multipart/Form-Data; charset=x; Boundary=\"a b\"",
       part("a b", "NAME=image; Filename=a.jpg", content) + "--a b--"},
      {"a preamble, an epilogue and padding", "multipart/form-data; boundary=B",
       "before\r\n--B  \r\ncontent-disposition: form-data; filename=\"a.jpg\"; name=\"image\"\r\n\r\n" +
           content + "\r\n--B--\r\nafter --B"},
  };
  for (const Sent& each : sent) {
    SCOPED_TRACE(each.client);
    const std::vector<Part> parts = parse_multipart(each.body, multipart_boundary(each.type));
    ASSERT_EQ(parts.size(), 1u);
    EXPECT_EQ(parts[0].name, "image");
    EXPECT_EQ(parts[0].file, "a.jpg");
    EXPECT_EQ(parts[0].content, content);
  }
}

TEST(Multipart, ReadsNamesAsTheyAreEscaped) {
  const auto file = [](const std::string& disposition) {
    const std::string body = part("B", disposition, "x") + "--B--\r\n";
    return parse_multipart(body, "B").at(0).file;
  };
  EXPECT_EQ(file("name=\"f\"; filename=\"a%22b%0D%0Ac%41.jpg\""), "a\"b\r\nc%41.jpg");
  EXPECT_EQ(file("name=\"f\"; filename=\"a\\\"b\\\\c.jpg\""), "a\"b\\c.jpg");
  EXPECT_EQ(file("name=\"f\"; filename=\"../../\xc3\xa4;=.jpg\""), "../../\xc3\xa4;=.jpg");
  EXPECT_EQ(file("name=\"f\"; filename=\"C:\\dir\\a.jpg\""), "C:\\dir\\a.jpg");
}

TEST(Multipart, KeepsPartsApart) {
  const std::string body = part("B", "name=\"a\"", "") + part("B", "name=\"b\"; filename=\"\"", "\r\n") +
                           part("B", "name=\"c\"", "--Bx\r\n--C") + "--B--";
  const std::vector<Part> parts = parse_multipart(body, "B");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].content, "");
  EXPECT_FALSE(parts[0].has_file);
  EXPECT_EQ(parts[1].content, "\r\n");
  EXPECT_TRUE(parts[1].has_file);
  EXPECT_EQ(parts[2].content, "--Bx\r\n--C");
}

TEST(Multipart, RefusesWhatIsNone) {
  const auto of_type = [](const std::string& type) { return refusal_of([&] { multipart_boundary(type); }); };
  EXPECT_EQ(multipart_boundary("image/jpeg"), "");
  EXPECT_EQ(multipart_boundary("multipart/mixed; boundary=B"), "");
  EXPECT_SAYS(of_type("multipart/form-data"), "names no boundary");
  EXPECT_SAYS(of_type("multipart/form-data; boundary="), "1 to 70");
  EXPECT_SAYS(of_type("multipart/form-data; boundary=" + std::string(71, 'a')), "1 to 70");
  EXPECT_SAYS(of_type("multipart/form-data; boundary=\"a;b\""), "1 to 70");
  EXPECT_SAYS(of_type("multipart/form-data; boundary=\"a"), "does not end");
  EXPECT_SAYS(of_type("multipart/form-data; boundary=a; boundary=b"), "two boundaries");
  const auto of_body = [](const std::string& body) {
    return refusal_of([&] { parse_multipart(body, "B"); });
  };
  EXPECT_SAYS(of_body(""), "nowhere");
  EXPECT_SAYS(of_body("x--B\r\n"), "nowhere");
  EXPECT_SAYS(of_body("--B\r\n"), "header does not end");
  EXPECT_SAYS(of_body("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx"), "does not end");
  EXPECT_SAYS(of_body("--B\r\nContent-Type: x\r\n\r\nx\r\n--B--"), "no Content-Disposition");
  EXPECT_SAYS(of_body("--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--B--"),
              "not form-data");
  EXPECT_SAYS(of_body("--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--"), "no name");
  EXPECT_SAYS(of_body(part("B", "name=\"a\"; name=\"b\"", "x") + "--B--"), "two names");
  EXPECT_SAYS(of_body("--B\r\n" + std::string(5000, 'a') + "\r\n--B--"), "longer than 4096");
  std::string lines, parts;
  for (int i = 0; i < 17; ++i) lines += "A: b\r\n";
  EXPECT_SAYS(of_body("--B\r\n" + lines + "\r\nx\r\n--B--"), "more than 16");
  for (int i = 0; i < 65; ++i) parts += part("B", "name=\"a\"", "x");
  EXPECT_SAYS(of_body(parts + "--B--"), "more than 64");
}

// Cut or changed anywhere, it is read or refused.
TEST(Multipart, SurvivesDamage) {
  const std::string body =
      "x\r\n" + part("B", "name=\"image\"; filename=\"a\\\"%22.jpg\"", "abc\r\n--Bx") + "--B--\r\n";
  for (size_t size = 0; size < body.size(); ++size)
    refusal_of([&] { parse_multipart(body.substr(0, size), "B"); });
  Random random(1, "damage");
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = body;
    for (int k = 0; k < 3; ++k) damaged[random.below(damaged.size())] = "\r\n-B\":;=\\x"[random.below(10)];
    refusal_of([&] { parse_multipart(damaged, "B"); });
  }
}

}  // namespace
}  // namespace marrow::serve
