// What --source means: images, as one, a folder, a pattern or a text file that lists them; or what moves.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace marrow::detect {

// Whether the suffix is one that images have (in any case). Not all of these kinds can be decoded,
// but a file that is skipped because of its kind should be reported, not overlooked.
bool has_image_suffix(const std::filesystem::path& path);

// The images, as paths that can be opened from here:
//   FILE        itself, whatever its suffix (decoding goes by content);
//   FOLDER      its files with an image's suffix, sorted, not those of its folders;
//   PATTERN     with * ? [...] as in a shell (no **): the matching files with an image's suffix, sorted;
//   LIST.txt    (or .csv) one path a line, in its order; a leading ./ means the list's folder, another
//   relative path
//               the working folder or, when it is not there, the list's folder. Blank lines are skipped.
//               Entries that do not exist are kept: reading them says so.
// Throws Error{kFile} when there is no such thing or nothing in it.
std::vector<std::filesystem::path> expand_sources(const std::string& source);

// The kinds of what moves.
enum class VideoKind {
  kFiles,   // a video, or a folder or pattern that has videos and no images
  kStream,  // a URL: rtsp, rtmp, http, https, tcp, udp
  kCamera,  // the number of a webcam, or its device: 0, /dev/video0
  kList,    // NAME.streams: a URL, video or camera a line, seen side by side
};
// Nothing where the source is of images, or there is no such thing: expand_sources() says so.
std::optional<VideoKind> video_kind(const std::string& source);

// The videos of a source of this kind, sorted.
std::vector<std::filesystem::path> video_files(const std::string& source);

// The entries of NAME.streams; blank lines and those that begin with '#' are skipped. Throws Error{kFile}
// without any.
std::vector<std::string> listed_streams(const std::filesystem::path& list);

// Text with the user and password of a URL taken out, for messages.
std::string without_password(const std::string& source);

}  // namespace marrow::detect
