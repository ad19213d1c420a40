#include "marrow/weights/torch/pickle_globals.h"

#include <array>

namespace marrow::weights {
namespace {

// Modules of which no name is harmless enough to be mentioned in a checkpoint.
constexpr std::string_view kDangerousModules =
    "os posix nt posixpath ntpath subprocess _posixsubprocess sys shutil importlib imp runpy pickle "
    "_pickle cPickle dill cloudpickle joblib marshal shelve webbrowser socket _socket socketserver ssl "
    "ctypes _ctypes cffi pty tty pexpect code codeop commands popen2 platform site inspect dis bdb pdb "
    "profile cProfile timeit trace doctest unittest ast types gc weakref operator _operator functools "
    "itertools threading _thread multiprocessing concurrent asyncio signal mmap fcntl resource tempfile "
    "glob io _io fileinput linecache codecs zipimport pkgutil pkg_resources setuptools distutils pip venv "
    "ensurepip urllib urllib2 requests http httplib aiohttp ftplib smtplib telnetlib poplib imaplib "
    "nntplib xmlrpc sqlite3 xml antigravity idlelib lib2to3 tkinter turtle curses readline rlcompleter "
    "atexit pydoc bz2 gzip lzma zipfile tarfile sched select selectors winreg msvcrt _winapi ";

// These end in code of the file's choosing wherever in a dotted name they stand
// ("torch.serialization.os.system").
constexpr std::string_view kDangerousParts =
    "os posix nt sys subprocess importlib ctypes socket shutil builtins __builtin__ __builtins__ "
    "__import__ __globals__ __subclasses__ __getattribute__ __dict__ eval exec execfile compile system "
    "popen Popen getattr setattr delattr open input load loads _load_from_bytes runstring load_inline "
    "load_library cpp_extension run call check_call check_output spawn fork execv execve remove unlink "
    "rmtree breakpoint globals locals vars memmap fromfile tofile savetxt loadtxt genfromtxt distutils "
    "f2py myeval exec_command reduce_graph_module rpc ";

// Packages that published checkpoints are made with.
constexpr std::string_view kCheckpointPackages =
    "torch torchvision timm ultralytics numpy paddle ppcls ppdet models utils argparse pathlib datetime "
    "collections enum decimal fractions uuid copyreg copy_reg omegaconf yacs easydict addict mmcv "
    "mmengine mmdet mmcls mmpretrain detectron2 fvcore lightning lightning_fabric lightning_utilities "
    "pytorch_lightning tensorflow apex efficientnet_pytorch nets lib __main__ ";

struct KnownGlobal {
  std::string_view module;
  std::string_view name;
  SimulatedGlobal simulated;
};

constexpr std::array kSimulatedGlobals = {
    KnownGlobal{"collections", "OrderedDict", SimulatedGlobal::kOrderedDict},
    KnownGlobal{"collections", "defaultdict", SimulatedGlobal::kOrderedDict},
    KnownGlobal{"builtins", "dict", SimulatedGlobal::kOrderedDict},
    KnownGlobal{"builtins", "list", SimulatedGlobal::kList},
    KnownGlobal{"builtins", "tuple", SimulatedGlobal::kTuple},
    KnownGlobal{"builtins", "set", SimulatedGlobal::kSet},
    KnownGlobal{"builtins", "frozenset", SimulatedGlobal::kSet},
    KnownGlobal{"builtins", "bytearray", SimulatedGlobal::kByteArray},
    KnownGlobal{"torch", "Size", SimulatedGlobal::kTuple},
    KnownGlobal{"_codecs", "encode", SimulatedGlobal::kEncode},
    KnownGlobal{"copyreg", "_reconstructor", SimulatedGlobal::kReconstructor}};

// Types that pickles may name without harm; as values they stay opaque.
constexpr std::string_view kHarmlessBuiltins =
    "object int long float bool str unicode bytes complex slice range xrange NoneType Ellipsis ";

// The exceptions among kDangerousModules: opaque data, met in pickled models and their arguments.
constexpr PickleGlobal kHarmlessExceptions[] = {{"functools", "partial"}, {"types", "SimpleNamespace"}};

// Whether the words of `list`, each followed by one space, include `word`.
bool contains(std::string_view list, std::string_view word) {
  if (word.empty() || word.find(' ') != std::string_view::npos) return false;
  for (size_t at = list.find(word); at != std::string_view::npos; at = list.find(word, at + 1)) {
    const bool begins = at == 0 || list[at - 1] == ' ';
    if (begins && list[at + word.size()] == ' ') return true;
  }
  return false;
}

std::string_view first_part(std::string_view dotted) {
  return dotted.substr(0, dotted.find('.'));
}

bool has_dangerous_part(std::string_view dotted) {
  while (true) {
    const size_t dot = dotted.find('.');
    if (contains(kDangerousParts, dotted.substr(0, dot))) return true;
    if (dot == std::string_view::npos) return false;
    dotted.remove_prefix(dot + 1);
  }
}

// Python 2 names of the same modules.
std::string_view modern_module(std::string_view module) {
  if (module == "__builtin__") return "builtins";
  if (module == "copy_reg") return "copyreg";
  return module;
}

}  // namespace

GlobalPolicy policy_of(const PickleGlobal& global) {
  const std::string_view module = modern_module(global.module);
  for (const KnownGlobal& known : kSimulatedGlobals)
    if (known.module == module && known.name == global.name) return {GlobalRule::kSimulated, known.simulated};

  if (module == "builtins")
    return {contains(kHarmlessBuiltins, global.name) ? GlobalRule::kOpaque : GlobalRule::kRefused};
  for (const PickleGlobal& harmless : kHarmlessExceptions)
    if (harmless.module == module && harmless.name == global.name) return {GlobalRule::kOpaque};
  if (contains(kDangerousModules, first_part(module)) || module == "_codecs") return {GlobalRule::kRefused};
  if (has_dangerous_part(module) || has_dangerous_part(global.name)) return {GlobalRule::kRefused};
  if (contains(kCheckpointPackages, first_part(module))) return {GlobalRule::kOpaque};
  return {GlobalRule::kOpaqueClass};
}

}  // namespace marrow::weights
