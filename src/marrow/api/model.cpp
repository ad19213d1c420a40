#include <fmt/format.h>

#include "marrow/api/inside.h"
#include "marrow/model/import.h"
#include "marrow/predict/input_size.h"

namespace marrow::v0 {
namespace {

Task task_of(const std::string& file, const std::string& task) {
  for (const auto& [name, value] : inside::kTasks)
    if (task == name) return value;
  std::string known;
  for (const auto& [name, value] : inside::kTasks)
    known += fmt::format("{}'{}'", known.empty() ? "" : ", ", name);
  throw Error(ErrorKind::kUnsupported,
              fmt::format("{}: a model for '{}'; wanted is one for {}", file, task, known));
}

}  // namespace

Model::Model(const std::filesystem::path& path, const LoadOptions& options) {
  impl_ = inside::guarded([&] {
    model::ImportOptions import;
    import.model = options.as;
    import.source = options.weights_source;
    import.model_flag = "as";
    import.source_flag = "weights_source";
    auto impl = std::make_shared<Impl>();
    impl->file = path.string();
    impl->trained = model::load_trained(path, import);
    impl->task = task_of(impl->file, impl->trained.model.task);
    impl->input = predict::default_input_size(impl->trained.model);
    return impl;
  });
}

Model::Model(const Model&) noexcept = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(const Model&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const Model::Impl& Model::impl() const {
  return inside::checked(impl_, "Model");
}

Task Model::task() const {
  return impl().task;
}

const std::vector<std::string>& Model::class_names() const {
  return impl().trained.model.names;
}

int Model::input_width() const {
  return impl().input.width;
}

int Model::input_height() const {
  return impl().input.height;
}

const std::vector<std::string>& Model::warnings() const {
  return impl().trained.model.warnings;
}

}  // namespace marrow::v0
