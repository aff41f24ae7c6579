// lpnsr table, sweep and data check with a small system.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <set>
#include <sys/file.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/image.h"
#include "tests/support/system_folder.h"

namespace lpnsr::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TableCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    write_system(folder_.path(), small_system());
    for (const std::string name : {"a", "b", "c"}) {
      save("lq", name, 8);
      save("hr", name, 32);
      save("others", name, 32);
    }
    write_text(folder_ / "set.toml", fmt::format("name = \"Set\"\nlow = [\"{}\"]\nhigh = [\"{}\"]\n", path("lq"), path("hr")));
    write_text(folder_ / "two.toml", "extends = \"small.toml\"\n[sampling]\nsteps = 2\n");
    write_text(folder_ / "bicubic.toml", "extends = \"small.toml\"\n[restore]\npre_upsample_only = true\n");
    write_text(folder_ / "optimal.toml", "extends = \"small.toml\"\n[sampling]\nnoise = \"optimal\"\n");
    write_text(folder_ / "mine.toml", fmt::format(R"(
title = "Mine & theirs"
columns = ["psnr", "ssim:protocol=basicsr", "runtime"]
data = ["set.toml"]
seeds = [1, 2]
shown = 1
[[row]]
name = "bicubic"
experiment = "bicubic.toml"
[[row]]
name = "two steps"
experiment = "two.toml"
paper = [{{ data = "Set", values = [27.5, 0.75] }}]
[[row]]
name = "optimal_noise"
experiment = "optimal.toml"
[[row]]
name = "others"
images = "{}/{{data}}"
[[row]]
name = "absent"
images = "{}"
paper = [{{ data = "Set", values = [20.0, 0.5] }}]
)",
                                                  path("methods"), path("nowhere")));
    fs::create_directories(folder_ / "methods");
    fs::rename(folder_ / "others", folder_ / "methods/Set");
  }
  void save(const std::string& sub, const std::string& name, int64_t side) {
    fs::create_directories(folder_ / sub);
    write_rgb(folder_ / sub / (name + ".png"), synthetic_tensor("table", sub + name, {3, side, side}, 0.5, 0.5).clamp(0, 1));
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  ProgramResult table(const std::vector<std::string>& more = {}, const std::string& output = "results") {
    std::vector<std::string> arguments{"table", path("mine.toml"), "--output", path(output), "--weights-dir", path("weights")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  // When each picture and score under the cells was made: what stays the same was not computed again.
  std::map<std::string, fs::file_time_type> kept(const std::string& output = "results") const {
    std::map<std::string, fs::file_time_type> times;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / output / "cells")) {
      const auto extension = entry.path().extension();
      if (extension == ".png" || entry.path().parent_path().filename() == "scores")
        times[entry.path().string()] = fs::last_write_time(entry);
    }
    return times;
  }
  // Without the run times, the only numbers that differ from run to run.
  std::string scores(const std::string& output = "results") const {
    auto json = nlohmann::json::parse(read_file(folder_ / output / "mine.json"));
    std::string text;
    for (auto& row : json["blocks"][0]["rows"]) {
      row["cells"].erase("runtime");
      text += row["cells"].dump() + "\n";
    }
    return text;
  }
  TemporaryFolder folder_;
};

TEST_F(TableCommand, WritesEveryFormat) {
  const auto result = table();
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("two steps"), HasSubstr("as published"), HasSubstr("27.50"), HasSubstr("difference"), HasSubstr("±")));
  for (const auto* file : {"mine.md", "mine.tex", "mine.csv", "mine-scores.csv", "mine.json", "results.html"})
    EXPECT_TRUE(fs::exists(folder_ / "results" / file)) << file;
  const auto json = nlohmann::json::parse(read_file(folder_ / "results/mine.json"));
  const auto& rows = json["blocks"][0]["rows"];
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[1]["seeds"], (nlohmann::json{1, 2}));
  EXPECT_EQ(rows[0]["seeds"].size(), 0u) << "a regression draws nothing";
  const double mean = rows[1]["cells"]["psnr"]["mean"];
  EXPECT_NEAR(rows[1]["cells"]["psnr"]["difference"].get<double>(), mean - 27.5, 1e-12);
  EXPECT_GT(rows[1]["cells"]["psnr"]["spread"].get<double>(), 0.0);
  EXPECT_GT(rows[1]["cells"]["runtime"]["mean"].get<double>(), 0.0);
  EXPECT_THAT(rows[4]["missing"].get<std::string>(), HasSubstr("nowhere"));
  EXPECT_TRUE(rows[4]["cells"]["psnr"]["mean"].is_null());
  EXPECT_EQ(rows[4]["cells"]["psnr"]["paper"], 20.0);
  const auto latex = read_file(folder_ / "results/mine.tex");
  EXPECT_THAT(latex,
              AllOf(HasSubstr("\\toprule"), HasSubstr("\\textcolor{red}"), HasSubstr("\\textcolor{blue}"), HasSubstr("optimal\\_noise")));
  const auto csv = read_file(folder_ / "results/mine-scores.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 3 * (1 + 2 + 2 + 1));
  const auto page = read_file(folder_ / "results/results.html");
  EXPECT_THAT(page,
              AllOf(HasSubstr("Mine &amp; theirs"), HasSubstr("lpnsr restore"), HasSubstr("data:image/png"), Not(HasSubstr("src=\"http"))));
}

TEST_F(TableCommand, EqualsRestoreAndEvaluate) {
  ASSERT_EQ(table().status, 0);
  const auto restored = run_program({"restore", "-i", path("lq"), "-o", path("by_hand") + "/", "--experiment", path("two.toml"), "--seed",
                                     "2", "--weights-dir", path("weights")});
  ASSERT_EQ(restored.status, 0) << restored.err;
  const auto scored = run_program({"evaluate", "--restored", path("by_hand"), "--reference", path("hr"), "--metrics", "psnr", "--json"});
  const auto json = nlohmann::json::parse(read_file(folder_ / "results/mine.json"));
  EXPECT_EQ(json["blocks"][0]["rows"][1]["cells"]["psnr"]["seeds"][1], nlohmann::json::parse(scored.out)["mean"]["psnr"]);
}

// An output that cannot be written is told before the work: the pictures that are missing too would otherwise be told first.
TEST_F(TableCommand, EvaluateLooksAtItsOutputsFirst) {
  const auto refused = run_program(
      {"evaluate", "--restored", path("missing"), "--reference", path("hr"), "--metrics", "psnr", "--csv", path("two.toml/scores.csv")});
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.err, HasSubstr("'" + path("two.toml") + "' is a file"));
}

TEST_F(TableCommand, KeepsWhatIsComputedAndAChangedKeyRecomputesItsRowOnly) {
  ASSERT_EQ(table().status, 0);
  const auto first = kept();
  ASSERT_EQ(first.size(), 5u * 3 + 6 * 2) << "five restored cells of three pictures, and two metrics of six cells";
  ASSERT_EQ(table().status, 0);
  EXPECT_EQ(kept(), first);
  write_text(folder_ / "two.toml", "extends = \"small.toml\"\n[sampling]\nsteps = 3\n");
  ASSERT_EQ(table().status, 0);
  auto second = kept();
  EXPECT_EQ(second.size(), first.size() + 2 * (3 + 2));
  for (const auto& [file, time] : first) EXPECT_EQ(second[file], time) << file;
  // Training keys do not matter to restoring; other networks do.
  write_text(folder_ / "two.toml", "extends = \"small.toml\"\n[sampling]\nsteps = 3\n[training]\niterations = 7\n");
  ASSERT_EQ(table().status, 0);
  EXPECT_EQ(kept().size(), second.size());
  const auto system = small_system();
  write_safetensors(folder_ / "weights" / system.weights.noise_predictor,
                    state_dict(*small_network<NoisePredictor>(system.noise_predictor, "another")));
  ASSERT_EQ(table().status, 0);
  EXPECT_EQ(kept().size(), second.size() + 2 * (3 + 2)) << "the rows without a predictor stay";
}

TEST_F(TableCommand, KilledAtAnyInstantItEndsTheSame) {
  ASSERT_EQ(table({}, "whole").status, 0);
  std::map<std::string, fs::file_time_type> before;
  for (int attempt = 0; attempt < 6; ++attempt) {
    const std::string program = std::getenv("LPNSR_PROGRAM");
    // Killed without warning after a while that is different each time.
    const std::string command = fmt::format("timeout -s KILL {} {} table {} --output {} --weights-dir {} >/dev/null 2>&1",
                                            0.25 + 0.17 * attempt, program, path("mine.toml"), path("results"), path("weights"));
    [[maybe_unused]] const int status = std::system(command.c_str());
    if (!fs::exists(folder_ / "results/cells")) continue;
    const auto now = kept();
    for (const auto& [file, time] : before) EXPECT_EQ(now.at(file), time) << file;
    before = now;
  }
  EXPECT_FALSE(before.empty());
  ASSERT_EQ(table().status, 0);
  const auto now = kept();
  for (const auto& [file, time] : before) EXPECT_EQ(now.at(file), time) << file;
  EXPECT_EQ(scores(), scores("whole"));
}

TEST_F(TableCommand, ProcessesAndArraysShareTheCells) {
  ASSERT_EQ(table({}, "one").status, 0);
  const auto two = table({"--processes", "2"}, "two");
  ASSERT_EQ(two.status, 0) << two.err;
  EXPECT_EQ(scores("one"), scores("two"));
  setenv("SLURM_ARRAY_TASK_MIN", "3", 1);
  setenv("SLURM_ARRAY_TASK_MAX", "4", 1);
  for (const auto* task : {"3", "4"}) {
    setenv("SLURM_ARRAY_TASK_ID", task, 1);
    const auto result = table({}, "array");
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out, "");
  }
  for (const auto* variable : {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX"}) unsetenv(variable);
  const auto before = kept("array");
  ASSERT_EQ(table({}, "array").status, 0);
  EXPECT_EQ(kept("array"), before);
  EXPECT_EQ(scores("array"), scores("one"));
}

TEST_F(TableCommand, NamesWhatIsMissingAndComputesTheRest) {
  fs::remove(folder_ / "weights/noise_predictor.pth");
  const auto plan = table({"--dry-run"});
  EXPECT_EQ(plan.status, 1);
  EXPECT_THAT(plan.out,
              AllOf(HasSubstr("two steps on Set, seed 1: missing noise_predictor.pth"),
                    HasSubstr("optimal_noise on Set, seed 1: restore 3 pictures"), HasSubstr("nowhere"), HasSubstr("huggingface.co")));
  const auto result = table();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("noise_predictor.pth"));
  EXPECT_THAT(result.out, AllOf(HasSubstr("* two steps: missing noise_predictor.pth"), HasSubstr("optimal_noise")));
  EXPECT_THAT(result.out, Not(HasSubstr("* optimal_noise")));
  EXPECT_EQ(table({"--dry-run", "--json"}).status, 1);
}

TEST_F(TableCommand, AFailingCellDoesNotStopTheOthers) {
  write_text(folder_ / "lq/b.png", "no picture");
  const auto result = table();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("two steps"), HasSubstr("b.png")));
  const auto json = nlohmann::json::parse(read_file(folder_ / "results/mine.json"));
  EXPECT_FALSE(json["blocks"][0]["rows"][3]["cells"]["psnr"]["mean"].is_null());
}

TEST_F(TableCommand, AMetricThatCannotScoreDoesNotStopTheOthers) {
  save("methods/Set", "b", 28);
  write_text(folder_ / "mine.toml",
             fmt::format("columns = [\"psnr\", \"runtime\"]\ndata = [\"set.toml\"]\n[[row]]\nname = \"others\"\nimages = "
                         "\"{}/{{data}}\"\n[[row]]\nname = \"bicubic\"\nexperiment = \"bicubic.toml\"\n",
                         path("methods")));
  const auto result = table();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("others on Set"), HasSubstr("28x28")));
  const auto rows = nlohmann::json::parse(read_file(folder_ / "results/mine.json"))["blocks"][0]["rows"];
  EXPECT_TRUE(rows[0]["cells"]["psnr"]["mean"].is_null());
  EXPECT_FALSE(rows[1]["cells"]["psnr"]["mean"].is_null());
}

TEST_F(TableCommand, FaultsOfTheFileAreTold) {
  write_text(folder_ / "mine.toml", "columns = [\"psnr\"]\ndata = [\"set.toml\"]\n[[row]]\nname = \"x\"\nexperimnt = \"two.toml\"\n");
  auto result = table();
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("mine.toml:5"), HasSubstr("did you mean 'experiment'?")));
  write_text(folder_ / "mine.toml",
             "columns = [\"psnr\"]\ndata = [\"set.toml\"]\n[[row]]\nname = \"x\"\nexperiment = \"two.toml\"\npaper = [{ data = \"Set\", "
             "values = [1.0, 2.0] }]\n");
  EXPECT_THAT(table().err, HasSubstr("2 values for the 1 columns"));
  write_text(folder_ / "mine.toml", "columns = [\"psnr\"]\ndata = [\"set.toml\"]\nrow = 3\n");
  EXPECT_THAT(table().err, HasSubstr("[[row]]"));
  const auto twice = [this](const std::string& columns, const std::string& data, const std::string& seeds) {
    write_text(folder_ / "mine.toml", fmt::format("columns = [{}]\ndata = [{}]\nseeds = [{}]\n[[row]]\nname = \"x\"\nexperiment = "
                                                  "\"two.toml\"\n",
                                                  columns, data, seeds));
    const auto refused = table({"--dry-run"});
    EXPECT_EQ(refused.status, 2);
    return refused.err;
  };
  EXPECT_THAT(twice("\"psnr\", \"ssim\", \"psnr\"", "\"set.toml\"", "1"), HasSubstr("mine.toml: columns: psnr stands twice"));
  EXPECT_THAT(twice("\"psnr\"", "\"set.toml\", \"./set.toml\"", "1"), HasSubstr("mine.toml: data: " + path("set.toml") + " stands twice"));
  EXPECT_THAT(twice("\"psnr\"", "\"set.toml\"", "1, 2, 1"), HasSubstr("mine.toml: seeds: 1 stands twice"));
  EXPECT_THAT(run_program({"table", "tabel1"}).err, HasSubstr("did you mean 'table1'?"));
}

TEST_F(TableCommand, AnOverlayPutsOtherNetworksUnderTheSameRows) {
  write_text(folder_ / "row.toml", "pre_upsampler = \"bicubic\"\n[sampling]\nsteps = 2\n");
  write_text(
      folder_ / "mine.toml",
      "columns = [\"psnr\"]\ndata = [\"set.toml\"]\noverlay = \"networks.toml\"\n[[row]]\nname = \"x\"\nexperiment = \"row.toml\"\n");
  auto networks = read_file(folder_ / "small.toml");
  networks.erase(networks.find("pre_upsampler"), networks.find('\n', networks.find("pre_upsampler")) - networks.find("pre_upsampler"));
  networks.erase(networks.find("\nsteps = 0"), 10);
  write_text(folder_ / "networks.toml", networks);
  const auto result = table({"--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_GT(nlohmann::json::parse(result.out)[0]["blocks"][0]["rows"][0]["cells"]["psnr"]["mean"].get<double>(), 0.0);
}

TEST_F(TableCommand, KeptScoresThatDoNotFitAreRefused) {
  write_text(
      folder_ / "mine.toml",
      fmt::format("columns = [\"psnr\"]\ndata = [\"set.toml\"]\n[[row]]\nname = \"others\"\nimages = \"{}/{{data}}\"\n", path("methods")));
  ASSERT_EQ(table().status, 0);
  const auto files = kept();
  const auto score = std::find_if(files.begin(), files.end(), [](const auto& file) { return file.first.ends_with(".json"); });
  ASSERT_NE(score, files.end());
  for (const auto* text : {"{\"values\":[1]}", "{\"values\":\"x\"}", "{\"values\":[1,2,\"three\"]}", "{}", "[]", "null", "{"}) {
    write_text(score->first, text);
    const auto result = table();
    EXPECT_EQ(result.status, 1) << text;
    EXPECT_THAT(result.err, AllOf(HasSubstr(score->first), HasSubstr("is damaged"), HasSubstr("3 numbers"), HasSubstr("remove it")))
        << text;
  }
  write_text(score->first, "{\"values\":[1.5,null,\"-inf\"]}");
  EXPECT_EQ(table().status, 0);
  fs::remove(score->first);
  EXPECT_EQ(table().status, 0);
}

TEST_F(TableCommand, LostAndDamagedPicturesAreComputedAgain) {
  write_text(folder_ / "mine.toml",
             "columns = [\"psnr\"]\ndata = [\"set.toml\"]\nshown = 1\n[[row]]\nname = \"x\"\nexperiment = \"bicubic.toml\"\n");
  ASSERT_EQ(table().status, 0);
  const auto before = scores();
  const fs::path cell = fs::directory_iterator(folder_ / "results/cells")->path();
  const auto shown = cell / "restored/a.png", other = cell / "restored/b.png";
  fs::remove(shown);
  EXPECT_THAT(table({"--dry-run"}).out, HasSubstr("restore 3 pictures"));
  ASSERT_EQ(table().status, 0);
  EXPECT_TRUE(fs::exists(shown));

  write_text(shown, "no picture");
  auto damaged = table();
  EXPECT_EQ(damaged.status, 1);
  EXPECT_THAT(damaged.err, AllOf(HasSubstr(shown.string()), HasSubstr("remove it and it is computed again")));
  fs::remove(shown);
  write_text(other, "no picture");
  fs::remove_all(cell / "scores");
  damaged = table();
  EXPECT_EQ(damaged.status, 1);
  EXPECT_THAT(damaged.err, AllOf(HasSubstr(other.string()), HasSubstr("remove it and it is computed again")));
  fs::remove(other);
  const auto healed = table();
  EXPECT_EQ(healed.status, 0) << healed.err;
  EXPECT_EQ(scores(), before);
}

TEST_F(TableCommand, ADataSetsNameMayHoldThePlaceOfItself) {
  write_text(folder_ / "set.toml", fmt::format("name = \"S{{data}}\"\nlow = [\"{}\"]\nhigh = [\"{}\"]\n", path("lq"), path("hr")));
  fs::rename(folder_ / "methods/Set", folder_ / "methods/S{data}");
  write_text(folder_ / "mine.toml", fmt::format("columns = [\"psnr\"]\ndata = [\"set.toml\"]\n[[row]]\nname = \"others\"\nimages = "
                                                "\"{}/{{data}}\"\n",
                                                path("methods")));
  const auto result =
      run_program({"table", path("mine.toml"), "--output", path("results"), "--weights-dir", path("weights"), "--dry-run"}, 10);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("others on S{data}: score psnr"));
}

TEST_F(TableCommand, TwoTablesWhoseResultsHaveOneNameAreRefused) {
  fs::create_directories(folder_ / "other");
  fs::copy_file(folder_ / "mine.toml", folder_ / "other/mine.toml");
  for (const std::string command : {"table", "sweep"}) {
    const auto two = run_program({command, path("mine.toml"), path("other/mine.toml"), "--output", path("results")});
    EXPECT_EQ(two.status, 2);
    EXPECT_THAT(two.err, AllOf(HasSubstr(path("mine.toml") + " and " + path("other/mine.toml")), HasSubstr("called mine")));
  }
  EXPECT_FALSE(fs::exists(folder_ / "results")) << "told before anything is computed";
  EXPECT_THAT(table({path("mine.toml")}).err, HasSubstr("asked for twice"));
}

TEST_F(TableCommand, WhatIsImpossibleIsToldBeforeTheWork) {
  write_text(folder_ / "file", "");
  for (const std::string command : {"table", "sweep"}) {
    const auto told = [&](const std::string& output, const std::string& precision) {
      return run_program(
          {command, path("mine.toml"), "--output", path(output), "--weights-dir", path("weights"), "--precision", precision});
    };
    const auto output = told("file/results", "fp32"), precision = told("results", "fp23");
    EXPECT_EQ(output.status, 1);
    EXPECT_EQ(output.err, "lpnsr: " + path("file/results") + ": cannot be the output folder: '" + path("file") + "' is a file\n");
    EXPECT_EQ(precision.status, 2);
    EXPECT_THAT(precision.err, ::testing::StartsWith("lpnsr: precision 'fp23'"));
    EXPECT_FALSE(fs::exists(folder_ / "results"));
  }
}

TEST_F(TableCommand, DataCheckSaysWhatIsWrong) {
  EXPECT_EQ(run_program({"data", "check", path("mine.toml")}).out, "Set: 3 pictures, all well\n");
  write_rgb(folder_ / "hr/b.png", torch::zeros({3, 30, 32}));
  fs::remove(folder_ / "lq/c.png");
  write_text(folder_ / "set.toml", fmt::format("name = \"Set\"\npictures = 3\nsource = \"example.org\"\nlow = [\"{}\"]\nhigh = [\"{}\"]\n",
                                               path("lq"), path("hr")));
  const auto wrong = run_program({"data", "check", path("set.toml")});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.out, AllOf(HasSubstr("2 pictures; the published set has 3"), HasSubstr("32x30")));
  fs::remove_all(folder_ / "lq");
  EXPECT_THAT(run_program({"data", "check", path("set.toml"), "--json"}).out,
              AllOf(HasSubstr("there is no folder"), HasSubstr("example.org")));
}

// Rows whose weights are the product of their own training.
class SweepCommand : public TableCommand {
 protected:
  void SetUp() override {
    TableCommand::SetUp();
    Experiment experiment;
    experiment.system = small_system();
    experiment.restore.pad_multiple = 8;
    experiment.restore.pad_power_of_two = false;
    experiment.data.folders = {path("hr")};
    experiment.data.crop_size = 32;
    experiment.data.workers = 1;
    experiment.losses.lpips = experiment.losses.gan = 0;
    experiment.training.iterations = 2;
    experiment.training.batch_size = 1;
    experiment.training.sample_pictures = 0;
    for (const std::string name : {"one", "other"}) {
      experiment.seed = name == "one" ? 1 : 2;
      experiment.system.weights.noise_predictor = path("runs/" + name + "/noise_predictor.safetensors");
      write_text(folder_ / (name + ".toml"), write_config(fields_of(experiment)));
    }
    write_text(folder_ / "mine.toml",
               "columns = [\"psnr\"]\ndata = [\"set.toml\"]\n[[row]]\nname = \"one\"\nexperiment = \"one.toml\"\n"
               "[[row]]\nname = \"other\"\nexperiment = \"other.toml\"\n[[row]]\nname = \"published\"\nexperiment = \"two.toml\"\n");
  }
  std::vector<std::string> words() const {
    return {"sweep", path("mine.toml"), "--output", path("results"), "--weights-dir", path("weights")};
  }
};

TEST_F(SweepCommand, TrainsWhatTheRowsNeedOnceAndGoesOn) {
  EXPECT_THAT(table({"--dry-run"}).out, HasSubstr("lpnsr train " + path("one.toml") + " --output " + path("runs/one")));
  const auto first = run_program(words());
  ASSERT_EQ(first.status, 0) << first.err;
  const auto product = folder_ / "runs/one/noise_predictor.safetensors";
  const auto made = fs::last_write_time(product);
  fs::remove_all(folder_ / "runs/other");
  const auto second = run_program(words());
  ASSERT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(fs::last_write_time(product), made);
  EXPECT_TRUE(fs::exists(folder_ / "runs/other/noise_predictor.safetensors"));
  EXPECT_EQ(first.out, second.out) << "a run that is made again gives the same";
}

TEST_F(SweepCommand, NamesWhatAnotherProcessTrains) {
  fs::create_directories(folder_ / "runs/other");
  const int lock = open((folder_ / "runs/other/sweep.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const auto result = run_program(words());
  close(lock);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("another process is training"),
                                HasSubstr("other: " + path("runs/other/noise_predictor.safetensors")), Not(HasSubstr("lpnsr train "))));
  EXPECT_TRUE(fs::exists(folder_ / "runs/one/noise_predictor.safetensors"));
  EXPECT_FALSE(fs::exists(folder_ / "results/mine.md"));
}

TEST_F(SweepCommand, EndsAtASignalWhileTheTableIsComputed) {
  std::string seeds = "0";
  for (int seed = 1; seed < 100; ++seed) seeds += fmt::format(", {}", seed);
  write_text(folder_ / "mine.toml", fmt::format("columns = [\"psnr\"]\ndata = [\"set.toml\"]\nseeds = [{}]\n[[row]]\nname = \"one\"\n"
                                                "experiment = \"one.toml\"\n",
                                                seeds));
  const pid_t sweep = fork();
  if (sweep == 0) {
    auto all = words();
    std::vector<char*> argv{std::getenv("LPNSR_PROGRAM")};
    for (auto& word : all) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (freopen("/dev/null", "w", stdout) == nullptr || freopen("/dev/null", "w", stderr) == nullptr) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  // The cells are begun when the training has ended.
  int status = 0;
  for (int waited = 0; waited < 60000 && !fs::exists(folder_ / "results/cells") && waitpid(sweep, &status, WNOHANG) == 0; ++waited)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(fs::exists(folder_ / "results/cells"));
  kill(sweep, SIGTERM);
  waitpid(sweep, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
}

// The repository's own tables at full size, on a machine that has nothing.
TEST(FullSizeTables, EveryRowResolvesAndNamesExactlyTheFilesThatAreMissing) {
  const TemporaryFolder folder;
  const auto result = run_program(
      {"table", "all", "--dry-run", "--json", "--output", (folder / "results").string(), "--weights-dir", (folder / "none").string()});
  EXPECT_EQ(result.status, 1) << result.err;
  std::map<std::string, std::set<std::string>> missing;  // of "table/group/row/data"
  const auto plans = nlohmann::json::parse(result.out);
  EXPECT_EQ(plans.size(), 13u);
  for (const auto& plan : plans) {
    std::set<std::string> explained;
    for (const auto& file : plan["missing"]) {
      const std::string name = file["file"], where = file["where"];
      EXPECT_FALSE(where.empty());
      EXPECT_EQ(name.starts_with("runs/"), where.find("lpnsr train ") != std::string::npos) << name;
      explained.insert(name);
    }
    for (const auto& cell : plan["cells"]) {
      auto& files = missing[fmt::format("{}/{}/{}/{}", plan["table"].get<std::string>(), cell["group"].get<std::string>(),
                                        cell["row"].get<std::string>(), cell["data"].get<std::string>())];
      for (const auto& file : cell["missing"]) {
        files.insert(file);
        EXPECT_TRUE(explained.contains(file)) << file;
      }
    }
  }
  using Files = std::set<std::string>;
  const std::string denoiser = "resshift_realsrx4_s4_v3.pth", predictor = "noise_predictor.pth", autoencoder = "autoencoder_vq_f4.pth",
                    swinir = "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth", imagenet = "data set ImageNet-Test",
                    realsr = "data set RealSR";
  EXPECT_EQ(missing.at("table1/T = 4/ResShift/ImageNet-Test"), (Files{imagenet, denoiser, autoencoder}));
  EXPECT_EQ(missing.at("table1/T = 1/PreSet-A/ImageNet-Test"), (Files{imagenet, denoiser, autoencoder})) << "one step injects no noise";
  EXPECT_EQ(missing.at("table1/T = 2/PreSet-A/ImageNet-Test"), (Files{imagenet, denoiser, autoencoder, predictor}));
  EXPECT_EQ(missing.at("table1/T = 3/PreSet-B/ImageNet-Test"), (Files{imagenet, denoiser, autoencoder, predictor, swinir}));
  EXPECT_EQ(missing.at("table2//BSRGAN/RealSR"), (Files{realsr, "BSRGAN.pth"}));
  EXPECT_EQ(missing.at("table2//SeeSR/RealSR"), (Files{realsr, "results/others/SeeSR/RealSR"}));
  EXPECT_EQ(missing.at("table3//RealESRGAN/RealSet80"), (Files{"data set RealSet80", "RealESRGAN_x4plus.pth"}));
  EXPECT_EQ(missing.at("table4//LPNSR without the predictor at t = 3/RealSR"), (Files{realsr, denoiser, autoencoder, predictor, swinir}));
  EXPECT_EQ(missing.at("table5//Theoretical optimal noise/RealSR"), (Files{realsr, denoiser, autoencoder, swinir}));
  EXPECT_EQ(missing.at("table6//Baseline1 (L1)/ImageNet-Test"),
            (Files{imagenet, denoiser, autoencoder, swinir, "runs/ablations/loss_l1/noise_predictor.safetensors"}));
  EXPECT_EQ(missing.at("table7//BSRGAN/ImageNet-Test"), (Files{imagenet, denoiser, autoencoder, predictor, "BSRGAN.pth"}));
  // One step: published students, and those that a sweep trains.
  const std::string first_release = "SinSR_v1.pth", rsd = "ema_model_2800.pth", trained = "/student.safetensors";
  EXPECT_EQ(missing.at("table2//SinSR/RealSR"), (Files{realsr, first_release, autoencoder}));
  EXPECT_EQ(missing.at("table3//SinSR/RealSet80"), (Files{"data set RealSet80", first_release, autoencoder}));
  EXPECT_EQ(missing.at("rsd_realsr//SinSR/RealSR"), (Files{realsr, "SinSR_v2.pth", autoencoder}));
  EXPECT_EQ(missing.at("rsd_realsr//ResShift (15 steps)/RealSR"), (Files{realsr, "resshift_realsrx4_s15_v1.pth", autoencoder}));
  EXPECT_EQ(missing.at("rsd_realsr//SinSR (distill only)/RealSR"),
            (Files{realsr, "runs/ablations/sinsr_distill_only" + trained, autoencoder}));
  EXPECT_EQ(missing.at("rsd_realset65//SwinIR/RealSet65"), (Files{"data set RealSet65", swinir}));
  EXPECT_EQ(missing.at("rsd_imagenet_test//ResShift-VSD/ImageNet-Test"), (Files{imagenet, "runs/resshift_vsd" + trained, autoencoder}));
  EXPECT_EQ(missing.at("rsd_imagenet_test//RSD/ImageNet-Test"), (Files{imagenet, rsd, autoencoder}));
  EXPECT_EQ(missing.at("rsd_nodes//N = 15/RealSR"), (Files{realsr, "runs/ablations/rsd_nodes15" + trained, autoencoder}));
  EXPECT_EQ(missing.at("rsd_losses//with GAN/RealSR"), (Files{realsr, "runs/ablations/rsd_gan" + trained, autoencoder}));
  EXPECT_EQ(missing.size(), 12u + 16 + 8 + 4 + 8 + 4 + 6 + 8 + 3 * 11 + 5 + 4);
}

}  // namespace
}  // namespace lpnsr::testing
