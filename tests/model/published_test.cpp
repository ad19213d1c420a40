// The published classifiers, against the tables of their papers' code: parameters and multiply-adds with 1000
// classes. Counted there by running the reference definitions.
#include <gtest/gtest.h>

#include "backbones/backbone.h"
#include "base/error.h"
#include "model/summary.h"
#include "model/zoo.h"

namespace marrow {
namespace {

struct Published {
  const char* name;
  int64_t parameters;
  int64_t macs;
  nlohmann::json settings = nlohmann::json::object();
  int size = 224;  // pixels
};

void expect_equal(const Published& row) {
  SCOPED_TRACE(row.name);
  ModelSpec spec = find_model_spec(row.name);
  spec.settings = row.settings;
  const Model model = build_model(spec);
  EXPECT_EQ(model.task, "classify");
  EXPECT_EQ(model.classes(), 1000);
  const Summary summary = summarize(model, row.size, row.size);
  EXPECT_EQ(summary.parameters, row.parameters);
  EXPECT_EQ(summary.gradients, row.parameters);
  EXPECT_EQ(summary.macs, row.macs);
  EXPECT_DOUBLE_EQ(summary.gflops, 2e-9 * static_cast<double>(row.macs));
}

TEST(PublishedCounts, VanillaNet) {
  const Published rows[] = {
      {"vanillanet_5", 22'328'800, 8'450'519'616},
      {"vanillanet_6", 56'116'704, 10'104'521'280},
      {"vanillanet_7", 56'670'176, 11'827'364'416},
      {"vanillanet_8", 65'175'520, 13'491'200'576},
      {"vanillanet_9", 73'680'864, 15'155'036'736},
      {"vanillanet_10", 82'186'208, 16'818'872'896},
      {"vanillanet_11", 90'691'552, 18'482'709'056},
      {"vanillanet_12", 99'196'896, 20'146'545'216},
      {"vanillanet_13", 107'702'240, 21'810'381'376},
      {"vanillanet_13", 108'488'672, 22'041'592'384, {{"act_num", 4}}},
      {"vanillanet_13_x1_5", 236'942'048, 48'745'701'952},
      {"vanillanet_13_x1_5_ada_pool", 236'942'048, 89'966'269'504},
  };
  for (const Published& row : rows) expect_equal(row);
}

TEST(PublishedCounts, VanillaNetDeployed) {
  const Published rows[] = {
      {"vanillanet_5", 15'523'304, 5'161'185'280, {{"deploy", true}}},
      {"vanillanet_6", 32'509'416, 5'993'103'360, {{"deploy", true}}},
      {"vanillanet_7", 32'797'672, 6'893'862'912, {{"deploy", true}}},
      {"vanillanet_8", 37'096'424, 7'735'615'488, {{"deploy", true}}},
      {"vanillanet_9", 41'395'176, 8'577'368'064, {{"deploy", true}}},
      {"vanillanet_10", 45'693'928, 9'419'120'640, {{"deploy", true}}},
      {"vanillanet_11", 49'992'680, 10'260'873'216, {{"deploy", true}}},
      {"vanillanet_12", 54'291'432, 11'102'625'792, {{"deploy", true}}},
      {"vanillanet_13", 58'590'184, 11'944'378'368, {{"deploy", true}}},
      {"vanillanet_13", 59'376'616, 12'175'589'376, {{"deploy", true}, {"act_num", 4}}},
      {"vanillanet_13_x1_5", 127'796'200, 26'548'445'184, {{"deploy", true}}},
      {"vanillanet_13_x1_5_ada_pool", 127'796'200, 48'982'528'512, {{"deploy", true}}},
  };
  for (const Published& row : rows) expect_equal(row);
}

TEST(PublishedCounts, ShuffleNetV2) {
  const Published rows[] = {
      {"shufflenet_v2_x0_5", 1'366'792, 40'476'448},
      {"shufflenet_v2_x1_0", 2'278'604, 144'907'992},
      {"shufflenet_v2_x1_5", 3'503'624, 295'759'392},
      {"shufflenet_v2_x2_0", 7'393'996, 583'253'464},
      {"shufflenet_v2_x0_5", 1'365'792, 40'476'448, {{"source", "megvii"}}},
      {"shufflenet_v2_x1_0", 2'278'760, 145'814'296, {{"source", "megvii"}}},
      {"shufflenet_v2_x1_5", 3'506'720, 298'970'656, {{"source", "megvii"}}},
      {"shufflenet_v2_x2_0", 7'402'600, 590'783'000, {{"source", "megvii"}}},
      {"shufflenet_v2_x0_5", 1'376'296, 42'889'600, {{"detection", true}}},
      {"shufflenet_v2_x1_0", 2'301'198, 149'780'160, {{"detection", true}}},
      {"shufflenet_v2_x1_5", 3'537'768, 302'801'280, {{"detection", true}}},
      {"shufflenet_v2_x2_0", 7'441'230, 592'754'368, {{"detection", true}}},
  };
  for (const Published& row : rows) expect_equal(row);
}

TEST(PublishedCounts, StarNet) {
  const Published rows[] = {
      {"starnet_s050", 542'728, 91'285'248},    {"starnet_s100", 1'043'280, 185'626'176},
      {"starnet_s150", 1'560'616, 227'376'384}, {"starnet_s1", 2'869'168, 421'877'376},
      {"starnet_s2", 3'682'024, 544'113'664},   {"starnet_s3", 5'750'792, 753'999'872},
      {"starnet_s4", 7'482'728, 1'049'561'600},
  };
  for (const Published& row : rows) expect_equal(row);
}

TEST(PublishedCounts, PpLcNet) {
  const Published rows[] = {
      {"pp_lcnet_x0_25", 1'521'184, 16'773'440}, {"pp_lcnet_x0_35", 1'643'090, 27'357'832},
      {"pp_lcnet_x0_5", 1'879'576, 44'731'008},  {"pp_lcnet_x0_75", 2'357'008, 94'786'496},
      {"pp_lcnet_x1_0", 2'952'520, 155'700'480}, {"pp_lcnet_x1_5", 4'499'832, 334'188'416},
      {"pp_lcnet_x2_0", 6'521'512, 580'194'816}, {"pp_lcnet_x2_5", 9'017'560, 893'719'680},
      {"lcnet_035", 1'644'370, 27'357'832},      {"lcnet_050", 1'880'856, 44'731'008},
      {"lcnet_075", 2'358'288, 94'786'496},      {"lcnet_100", 2'953'800, 155'700'480},
      {"lcnet_150", 4'501'112, 334'188'416},
  };
  for (const Published& row : rows) expect_equal(row);
}

TEST(PublishedCounts, EfficientNet) {
  const nlohmann::json none = nlohmann::json::object();
  const Published rows[] = {
      {"efficientnet_b0", 5'288'548, 385'814'752},
      {"efficientnet_b1", 7'794'184, 569'651'680},
      {"efficientnet_b2", 9'109'994, 658'963'440},
      {"efficientnet_b3", 12'233'232, 962'708'240},
      {"efficientnet_b4", 19'341'616, 1'503'710'432},
      {"efficientnet_b5", 30'389'784, 2'356'493'184},
      {"efficientnet_b6", 43'040'704, 3'360'166'848},
      {"efficientnet_b7", 66'347'960, 5'169'865'152},
      {"efficientnet_b1", 7'794'184, 686'802'832, none, 240},
      {"efficientnet_b2", 9'109'994, 993'561'872, none, 260},
      {"efficientnet_b3", 12'233'232, 1'827'141'392, none, 300},
      {"efficientnet_b4", 19'341'616, 4'393'771'024, none, 380},
      {"efficientnet_b5", 30'389'784, 10'266'384'752, none, 456},
      {"efficientnet_b6", 43'040'704, 19'067'593'536, none, 528},
      {"efficientnet_b7", 66'347'960, 37'745'884'192, none, 600},
  };
  for (const Published& row : rows) expect_equal(row);
}

// "Backbone to c5", as a detector counts it.
TEST(PublishedCounts, BodiesOfDetectors) {
  const std::pair<const char*, int64_t> rows[] = {
      {"shufflenet_v2_x0_5", 143'136},   {"shufflenet_v2_x1_0", 776'420}, {"shufflenet_v2_x1_5", 1'755'680},
      {"shufflenet_v2_x2_0", 3'342'052}, {"starnet_s050", 413'472},       {"starnet_s100", 881'960},
      {"starnet_s150", 1'367'232},       {"starnet_s1", 2'675'784},       {"starnet_s2", 3'424'512},
      {"starnet_s3", 5'493'280},         {"starnet_s4", 7'225'216},       {"pp_lcnet_x0_25", 76'344},
      {"pp_lcnet_x0_35", 136'810},       {"pp_lcnet_x0_5", 270'896},      {"pp_lcnet_x0_75", 584'488},
      {"pp_lcnet_x1_0", 1'016'160},      {"pp_lcnet_x1_5", 2'235'792},    {"pp_lcnet_x2_0", 3'929'792},
      {"pp_lcnet_x2_5", 6'098'160},      {"efficientnet_b0", 3'595'388},  {"efficientnet_b1", 6'101'024},
      {"efficientnet_b2", 7'202'562},    {"efficientnet_b3", 10'103'336}, {"efficientnet_b4", 16'742'216},
      {"efficientnet_b5", 27'288'112},   {"efficientnet_b6", 39'403'992}, {"efficientnet_b7", 62'143'440},
  };
  for (const auto& [name, parameters] : rows) {
    SCOPED_TRACE(name);
    EXPECT_EQ(summarize(make_model("yolov8n", name), 64, 64).layers[0].parameters, parameters);
  }
}

}  // namespace
}  // namespace marrow
