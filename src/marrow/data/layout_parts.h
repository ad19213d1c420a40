// What recognising a dataset by its folders is made of; for dataset_layout.cpp and dataset_exports.cpp alone.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "marrow/data/dataset.h"

namespace marrow::data {

// What people call the splits' folders and files.
struct SplitAliases {
  const char* name;
  std::initializer_list<const char*> aliases;
};
std::span<const SplitAliases> split_aliases();

bool is_folder(const std::filesystem::path& path);

// The folders, or the files, in a folder, sorted, without hidden ones. Throws Error{kFile}.
std::vector<std::filesystem::path> entries(const std::filesystem::path& folder, bool folders);

// The files in a folder with one of these suffixes, in either case; none where the folder is not there.
std::vector<std::filesystem::path> files_with(const std::filesystem::path& folder,
                                              std::initializer_list<const char*> suffixes);

// Adds to the split of that name, which it makes.
void add_source(Dataset& dataset, const std::string& split_name, SplitSource source);

// Each recognises what a program exports. True when it did; then splits and format are set, and the names
// where a file lists them. Files are listed, not read, except for lists of names.
bool find_darknet(const std::filesystem::path& folder, Dataset& dataset);       // obj.data
bool find_yolo_unsplit(const std::filesystem::path& folder, Dataset& dataset);  // images/, labels/
bool find_yolo_beside_splits(const std::filesystem::path& folder,
                             Dataset& dataset);  // train/a.jpg, train/a.txt
bool find_voc_beside_splits(const std::filesystem::path& folder,
                            Dataset& dataset);                                 // train/a.jpg, train/a.xml
bool find_yolo_beside(const std::filesystem::path& folder, Dataset& dataset);  // a.jpg, a.txt
bool find_voc_beside(const std::filesystem::path& folder, Dataset& dataset);   // a.jpg, a.xml

// The classes that a list in the folder, or in its labels, names: classes.txt, obj.names, _darknet.labels, or
// Label Studio's notes.json. Empty where there is none.
std::vector<std::string> listed_names(const std::filesystem::path& folder);

// A Darknet .data file: "names = obj.names" and so on. Throws Error naming file and line.
Dataset dataset_of_darknet(const std::filesystem::path& file);

}  // namespace marrow::data
