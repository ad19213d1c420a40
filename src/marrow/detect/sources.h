// What --source means: one image, a folder of images, a pattern, or a text file that lists images.
#pragma once

#include <filesystem>
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

}  // namespace marrow::detect
