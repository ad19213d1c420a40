#include "marrow/serve/static_files.h"

#include <algorithm>

namespace marrow::serve {
namespace {

// Scripts and styles are files of their own: the server's Content-Security-Policy allows none inside a page.
constexpr StaticFile kFiles[] = {
    {"/", "text/html; charset=utf-8",
     R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Marrow</title>
<h1>Marrow</h1>
<p>This server finds objects in pictures: <code>curl --data-binary @picture.jpg http://HOST/v1/detect</code></p>
<p><a href="/v2/models">/v2/models</a> lists the models. <a href="/metrics">/metrics</a> counts.</p>
</html>
)"},
};

}  // namespace

const StaticFile* find_static_file(std::string_view path) {
  const auto found = std::ranges::find(kFiles, path, &StaticFile::path);
  return found == std::end(kFiles) ? nullptr : found;
}

}  // namespace marrow::serve
