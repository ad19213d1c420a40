#include "marrow/weights/torch/pickle.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/weights/torch/pickle_globals.h"
#include "marrow/weights/torch/pickle_json.h"
#include "pickle_writer.h"

namespace marrow::weights {
namespace {

using testing::little_endian;
using testing::PickleWriter;
using Kind = PickleValue::Kind;

// Text that outlives the document made of it.
struct Read {
  std::string bytes;
  PickleDocument document;
  explicit Read(std::string pickle)
      : bytes(std::move(pickle)), document(read_pickle(std::as_bytes(std::span(bytes)), "test")) {}
  const PickleValue* operator->() const { return &document.root(); }
  std::string json() const { return to_json(document.root(), "test"); }
};

std::string error_of(const std::string& pickle) {
  try {
    Read read(pickle);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void expect_refused(const std::string& pickle, const std::string& part_of_message) {
  const std::string message = error_of(pickle);
  EXPECT_NE(message.find(part_of_message), std::string::npos) << "message: '" << message << "'";
}

TEST(Pickle, ReadsPlainData) {
  PickleWriter p;
  p.proto().raw("}(").text("a").integer(-5).text("b").raw("](K\x07NI01\nG\x3f\xe0").raw(std::string(6, '\0'));
  p.raw("e").text("c").raw("K\x01K\x02\x86u");
  EXPECT_EQ(Read(p.stop()).json(), R"({"a":-5,"b":[7,null,true,0.5],"c":[1,2]})");
}

TEST(Pickle, ReadsEveryIntegerWidth) {
  EXPECT_EQ(Read(std::string("J\xff\xff\xff\xff.", 6))->as_int(), -1);
  EXPECT_EQ(Read(std::string("M\xff\xff.", 4))->as_int(), 65535);
  EXPECT_EQ(Read(std::string("\x8a\x00.", 3))->as_int(), 0);
  EXPECT_EQ(Read("\x8a\x01\x80.")->as_int(), -128);
  EXPECT_EQ(Read("\x8a\x08" + little_endian(1ull << 63, 8) + ".")->as_int(), INT64_MIN);
  EXPECT_EQ(Read("L123L\n.")->as_int(), 123);
  EXPECT_TRUE(Read("\x8a\x09" + std::string(9, 'x') + ".")->is(Kind::kBigInt));
}

TEST(Pickle, ReadsProtocolFour) {
  std::string p = "\x80\x04\x95" + little_endian(20, 8) + "}\x94(\x8c\x01k\x94\x8f\x94(K\x01\x90u.";
  p += std::string(10, ' ');
  const Read read(p);
  EXPECT_EQ(read.json(), R"({"k":[1]})");
  EXPECT_EQ(read.document.consumed(), p.size() - 10);
}

TEST(Pickle, ReadsBytesOfBothKinds) {
  EXPECT_EQ(Read(std::string("C\x03") + "abc.")->text(), "abc");
  // _codecs.encode("A" U+00E9, "latin1")
  PickleWriter p;
  p.proto().global("_codecs", "encode").text("A\xc3\xa9").text("latin1").raw("\x86R");
  const Read read(p.stop());
  EXPECT_TRUE(read->is(Kind::kBytes));
  EXPECT_EQ(read->text(), "A\xe9");
}

TEST(Pickle, TheLastOfTwoEqualKeysCounts) {
  PickleWriter p;
  p.proto().raw("}(").text("a").raw("K\x01").text("a").raw("K\x02u");
  EXPECT_EQ(Read(p.stop())->find("a")->as_int(), 2);
}

TEST(Pickle, ObjectsAreTheirClassNameAndState) {
  PickleWriter p;
  p.proto().global("argparse", "Namespace").raw(")\x81}").text("lr").raw("K\x05sb");
  const Read read(p.stop());
  ASSERT_NE(read->object(), nullptr);
  EXPECT_EQ(read->object()->callee.qualified(), "argparse.Namespace");
  EXPECT_EQ(read->object()->attribute("lr")->as_int(), 5);
  EXPECT_EQ(read.json(), R"({"lr":5})");
}

TEST(Pickle, SimulatesTheContainersOfCheckpoints) {
  EXPECT_EQ(Read("\x80\x02"
                 "ccollections\nOrderedDict\n)R(X\x01" +
                 std::string(3, '\0') + "aK\x01u}b.")
                .json(),
            R"({"a":1})");
  EXPECT_EQ(Read("c__builtin__\nset\n](K\x01K\x02"
                 "e\x85R.")
                .json(),
            "[1,2]");
  EXPECT_EQ(Read("ctorch\nSize\n(K\x03K\x04t\x85R.").json(), "[3,4]");
}

TEST(Pickle, RefusesNamesThatRunCode) {
  const std::pair<const char*, const char*> names[] = {{"os", "system"},
                                                       {"posix", "system"},
                                                       {"nt", "system"},
                                                       {"subprocess", "Popen"},
                                                       {"builtins", "eval"},
                                                       {"__builtin__", "exec"},
                                                       {"builtins", "getattr"},
                                                       {"builtins", "__import__"},
                                                       {"builtins", "open"},
                                                       {"builtins", "print"},
                                                       {"sys", "exit"},
                                                       {"shutil", "rmtree"},
                                                       {"importlib", "import_module"},
                                                       {"runpy", "run_path"},
                                                       {"pickle", "loads"},
                                                       {"webbrowser", "open"},
                                                       {"socket", "socket"},
                                                       {"ctypes", "CDLL"},
                                                       {"torch", "load"},
                                                       {"torch.hub", "load"},
                                                       {"torch.storage", "_load_from_bytes"},
                                                       {"numpy", "load"},
                                                       {"numpy.testing._private.utils", "runstring"},
                                                       {"torch.serialization", "os.system"},
                                                       {"os.path", "join"},
                                                       {"torch.utils.cpp_extension", "load_inline"},
                                                       {"functools", "reduce"},
                                                       {"operator", "attrgetter"},
                                                       {"code", "interact"},
                                                       {"_codecs", "decode"}};
  for (const auto& [module, name] : names) {
    const std::string wanted = "wants to run " + std::string(module) + "." + name;
    expect_refused(PickleWriter().proto().call(module, name, "true").stop(), wanted);
    expect_refused(PickleWriter().proto().global(module, name).stop(), wanted);  // a mention is enough
    // The name assembled on the stack.
    expect_refused(PickleWriter().proto(4).text(module).text(name).raw("\x93)R").stop(), wanted);
  }
}

TEST(Pickle, RefusesToCallWhatItDoesNotKnow) {
  expect_refused(PickleWriter().proto().call("evil_package", "run_me", "x").stop(), "evil_package.run_me");
  expect_refused("K\x01)R.", "not a named class");
  // Calling what a call returned.
  expect_refused(PickleWriter().proto().call("models.common", "Conv", "x").raw(")R").stop(),
                 "not a named class");
}

TEST(Pickle, KeepsInstancesOfUnknownClassesOpaque) {
  PickleWriter p;
  p.proto().global("my_project.nets", "MyNet").raw(")\x81}b");
  EXPECT_EQ(Read(p.stop())->object()->callee.name, "MyNet");
}

TEST(Pickle, RefusesOpcodesNoCheckpointNeeds) {
  expect_refused("(S'ls'\nios\nsystem\n.", "INST");
  expect_refused("(ios\nsystem\n.", "os.system");
  expect_refused("(cargparse\nNamespace\no.", "opcode 0x6f");
  expect_refused("\x82\x01.", "opcode 0x82");
  expect_refused(std::string("\x83\x01\x00.", 4), "opcode 0x83");
  expect_refused("\x97.", "opcode 0x97");
  expect_refused("Pkey\n.", "opcode 0x50");
  expect_refused("\x80\x09.", "protocol 9");
}

TEST(Pickle, RefusesLengthsBeyondItsEnd) {
  const std::string huge4 = little_endian(0xffffffff, 4);
  const std::string huge8 = little_endian(~0ull, 8);
  for (const std::string& opcode :
       {"X" + huge4, "T" + huge4, "B" + huge4, "\x8b" + huge4, "\x8d" + huge8, "\x8e" + huge8, "\x96" + huge8,
        "\x95" + huge8, std::string("\x8c\xff"), std::string("\x8a\xff")})
    EXPECT_NE(error_of(opcode + "abc."), "") << opcode[0];
}

TEST(Pickle, RefusesTextWithoutAnEnd) {
  for (const char* opcode : {"I", "L", "F", "S'", "V", "g", "p", "c", "i"})
    EXPECT_NE(error_of(opcode + std::string(1'000'000, '1')), "") << opcode;
  EXPECT_NE(error_of("c" + std::string(300, 'a') + "\nb\n."), "");
}

TEST(Pickle, RefusesAnUnsoundStack) {
  for (const char* pickle : {".",
                             "R.",
                             "0.",
                             "1.",
                             "2.",
                             "t.",
                             "e.",
                             "u.",
                             "s.",
                             "a.",
                             "b.",
                             "\x93.",
                             "\x81.",
                             "\x87.",
                             "Q.",
                             "]K\x01(K\x02s.",
                             "K\x01K\x02"
                             "a.",
                             "}(K\x01u.",
                             "K\x01}b.",
                             "h\x05.",
                             "j1234.",
                             "g7\n.",
                             "(.",
                             "](0K\x01K\x01K\x01s."})
    EXPECT_NE(error_of(pickle), "") << pickle;
}

TEST(Pickle, SurvivesEndlessNesting) {
  // A million tuples in each other, lists that contain themselves, a dict that is its own value.
  EXPECT_TRUE(Read(")" + std::string(1'000'000, '\x85') + ".")->is(Kind::kTuple));
  const Read list(
      "]q\x01h\x01"
      "a.");
  EXPECT_EQ(list->items()[0], &list.document.root());
  EXPECT_THROW(list.json(), Error);
  EXPECT_THROW(Read("}q\x01X\x01" + std::string(3, '\0') + "ah\x01s.").json(), Error);
  EXPECT_THROW(Read("N" + std::string(200, '\x85') + ".").json(), Error);
}

TEST(Pickle, BoundsWhatSharingMultiplies) {
  // Billion laughs: thirty lists, each holding the one before ten times.
  std::string laughs =
      "](K\x01"
      "eq\x01";
  for (char i = 1; i < 30; ++i) {
    laughs += "](";
    for (int k = 0; k < 10; ++k) laughs += std::string("h") + i;
    laughs += std::string("eq") + static_cast<char>(i + 1);
  }
  EXPECT_THROW(Read(laughs + ".").json(), Error);

  // One long text, decoded again and again.
  PickleWriter p;
  p.proto().text(std::string(100'000, 'x')).raw("q\x01");
  for (int i = 0; i < 100; ++i)
    p.raw("0").global("_codecs", "encode").raw("h\x01").text("latin1").raw("\x86R");
  expect_refused(p.stop(), "copies more than the pickle holds");

  // One list of pairs, made a dict again and again.
  PickleWriter pairs;
  pairs.proto().raw("]q\x01(K\x01K\x02\x86q\x02");
  for (int i = 0; i < 10'000; ++i) pairs.raw("h\x02");
  pairs.raw("e\x85q\x03");
  for (int i = 0; i < 100; ++i) pairs.raw("0").global("collections", "OrderedDict").raw("h\x03R");
  expect_refused(pairs.stop(), "copies more than the pickle holds");
}

TEST(Pickle, BoundsTheNumberOfOpcodes) {
  EXPECT_NE(error_of(std::string(kMaxPickleOpcodes + 10, 'N') + "."), "");
}

TEST(PickleJson, KeepsOrderAndNamesAndDropsTheRest) {
  PickleWriter p;
  p.proto().raw("}(").text("z").raw("K\x01").text("a").raw("F1.5\n").text("nan").raw("Fnan\n");
  p.raw("K\x07").text("number").text("bytes").raw("C\x01x").text("path");
  p.global("pathlib", "PosixPath").raw("(").text("runs").text("train").raw("tRu");
  EXPECT_EQ(Read(p.stop()).json(),
            R"({"z":1,"a":1.5,"nan":null,"7":"number","bytes":null,"path":"runs/train"})");
}

TEST(PickleJson, NumpyScalarsAreNumbers) {
  PickleWriter p;
  p.proto()
      .global("numpy.core.multiarray", "scalar")
      .raw("(")
      .global("numpy", "dtype")
      .text("f8")
      .raw("\x89\x88\x87R");
  p.global("_codecs", "encode").text(std::string(6, '\0') + "\xc3\xb8?").text("latin1").raw("\x86RtR");
  EXPECT_EQ(Read(p.stop()).json(), "1.5");
}

TEST(PickleJson, RepairsTextThatIsNotUtf8) {
  EXPECT_EQ(Read("U\x02"
                 "a\xff.")
                .json(),
            "\"a\xef\xbf\xbd\"");
  EXPECT_EQ(Read("}U\x01\xff\x85Ns.").json(), "{\"[\\\"\xef\xbf\xbd\\\"]\":null}");
}

// Each level quotes what the one inside it quoted.
TEST(PickleJson, KeysInKeysDoNotDouble) {
  const auto nested = [](int levels) {
    std::string pickle = "K\x01";
    for (int i = 0; i < levels; ++i) pickle = "}" + pickle + "Ns";
    return Read(pickle + ".").json();
  };
  EXPECT_EQ(nested(2), R"({"{\"1\":null}":null})");
  EXPECT_THROW(nested(50), Error);
}

TEST(PickleGlobals, KnownPackagesStayOpaque) {
  EXPECT_EQ(policy_of({"ultralytics.nn.tasks", "DetectionModel"}).rule, GlobalRule::kOpaque);
  EXPECT_EQ(policy_of({"torch.nn.modules.conv", "Conv2d"}).rule, GlobalRule::kOpaque);
  EXPECT_EQ(policy_of({"someone.else", "Net"}).rule, GlobalRule::kOpaqueClass);
  EXPECT_EQ(policy_of({"osmosis", "Net"}).rule, GlobalRule::kOpaqueClass) << "only whole names count";
}

}  // namespace
}  // namespace marrow::weights
