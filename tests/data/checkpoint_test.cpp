// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gfn/data/checkpoint.hpp>
#include <gfn/objective/detailed_balance.hpp>
#include <gfn/objective/subtrajectory_balance.hpp>
#include <gfn/policy/neural.hpp>
#include <gfn/policy/uniform.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>
#include <gfn/trainer/objective_trainer.hpp>
#include <gfn/trainer/policy_gradient_trainer.hpp>
#include <gfn/trainer/train.hpp>

#include "catch.hpp"
#include "messages.hpp"

namespace fs = std::filesystem;

namespace {

/// An empty folder of the test's own, removed with it.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("gfn_checkpoint_test_" + std::to_string(::getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directory(path);
  }
  ~Folder() { fs::remove_all(path); }
  int files() const { return static_cast<int>(std::distance(fs::directory_iterator(path), fs::directory_iterator())); }
};

constexpr gfn::TrainOptions some{.iterations = 7, .batch = 8};

/// TB-B.
template <class T>
struct BalanceRun {
  explicit BalanceRun(std::uint64_t seed, int width = 16) : random(seed), hidden{width, 16} {}
  gfn::HyperGrid env{{.dimension = 2, .side = 6}};
  gfn::Random random;
  std::vector<int> hidden;
  gfn::NeuralFunction<T> forward = gfn::mlp_policy<T>(env, {.hidden = hidden}, random);
  gfn::NeuralFunction<T> backward = gfn::mlp_backward<T>(env, {.hidden = hidden}, random);
  decltype(gfn::trajectory_balance_trainer(env, forward, backward)) trainer =
      gfn::trajectory_balance_trainer(env, forward, backward, {.exploration = {.start = 0.2}});
};

/// RL-B.
template <class T>
struct CoupledRun {
  explicit CoupledRun(std::uint64_t seed, int width = 16) : random(seed), hidden{width, 16} {}
  gfn::HyperGrid env{{.dimension = 2, .side = 6}};
  gfn::Random random;
  std::vector<int> hidden;
  gfn::NeuralFunction<T> forward = gfn::mlp_policy<T>(env, {.hidden = hidden}, random);
  gfn::NeuralFunction<T> backward = gfn::mlp_backward<T>(env, {.hidden = hidden}, random);
  gfn::NeuralFunction<T> critic = gfn::mlp_value<T>(env, {.hidden = hidden}, random);
  gfn::NeuralFunction<T> backward_critic = gfn::mlp_value<T>(env, {.hidden = hidden}, random);
  decltype(gfn::coupled_trainer(env, forward, backward, critic, backward_critic)) trainer =
      gfn::coupled_trainer(env, forward, backward, critic, backward_critic);
};

struct OwnObjective {
  template <class T, class Input>
  gfn::Var<T> operator()(gfn::Tape<T>& tape, const Input& input) const {
    return gfn::TrajectoryBalance{}(tape, input);
  }
};

/// The grid and networks of the runs below.
template <class T>
struct GridRun {
  explicit GridRun(std::uint64_t seed) : random(seed) {}
  gfn::HyperGrid env{{.dimension = 2, .side = 6}};
  gfn::Random random;
  gfn::NeuralFunction<T> forward = gfn::mlp_policy<T>(env, {.hidden = {16}}, random);
  gfn::NeuralFunction<T> backward = gfn::mlp_backward<T>(env, {.hidden = {16}}, random);
  gfn::NeuralFunction<T> critic = gfn::mlp_value<T>(env, {.hidden = {16}}, random);
  gfn::NeuralFunction<T> flow = gfn::mlp_flow<T>(env, {.hidden = {16}}, random);
  gfn::UniformPolicy uniform = gfn::uniform_backward(env);
};

/// DB-B, whose state flow is learned.
template <class T>
struct DetailedBalanceRun : GridRun<T> {
  using GridRun<T>::GridRun;
  using Flow = gfn::NeuralFunction<T>;
  gfn::ObjectiveTrainer<gfn::HyperGrid, gfn::DetailedBalance, Flow, Flow, Flow> trainer =
      gfn::objective_trainer(this->env, gfn::DetailedBalance{}, this->forward, this->backward, this->flow);
};

/// SubTB-U, exploring.
template <class T>
struct SubtrajectoryRun : GridRun<T> {
  using GridRun<T>::GridRun;
  using Flow = gfn::NeuralFunction<T>;
  gfn::ObjectiveTrainer<gfn::HyperGrid, gfn::SubtrajectoryBalance, Flow, gfn::UniformPolicy, Flow> trainer =
      gfn::objective_trainer(this->env, gfn::SubtrajectoryBalance{}, this->forward, this->uniform, this->flow,
                             {.exploration = {.start = 0.2}});
};

/// RL-T.
template <class T>
struct TrustRegionRun : GridRun<T> {
  using GridRun<T>::GridRun;
  using Network = gfn::NeuralFunction<T>;
  decltype(gfn::trust_region_trainer(std::declval<const gfn::HyperGrid&>(), std::declval<Network&>(),
                                     std::declval<gfn::UniformPolicy&>(), std::declval<Network&>())) trainer =
      gfn::trust_region_trainer(this->env, this->forward, this->uniform, this->critic);
};

/// All bits that a checkpoint of the run holds.
template <class Run>
std::string state(Run& run) {
  gfn::detail::CheckpointWriter writer;
  run.random.visit_state(writer);
  run.trainer.visit_state(writer);
  return writer.content();
}

template <class Run>
void save(const fs::path& path, Run& run, std::string_view description = "grid", std::vector<double> numbers = {}) {
  gfn::save_checkpoint(path, run.trainer, run.random, description, numbers);
}
template <class Run>
std::vector<double> load(const fs::path& path, Run& run, std::string_view description = "grid") {
  return gfn::load_checkpoint(path, run.trainer, run.random, description);
}

/// The message with which a checkpoint is refused. The run must be as it was before.
template <class Run>
std::string refusal(const fs::path& path, Run& run, std::string_view description = "grid") {
  const std::string before = state(run);
  try {
    load(path, run, description);
  } catch (const gfn::Error& error) {
    CHECK(state(run) == before);
    return error.what();
  }
  FAIL("the checkpoint was taken");
  return "";
}
void write(const fs::path& path, std::string_view content) { std::ofstream(path, std::ios::binary) << content; }

/// The content with a checksum that fits.
std::string sealed(std::string content) {
  const std::uint64_t sum = gfn::detail::checksum(std::string_view(content).substr(0, content.size() - 8));
  std::memcpy(content.data() + content.size() - 8, &sum, 8);
  return content;
}

template <class Run>
void check_resuming() {
  const Folder folder;
  Run whole(3);
  gfn::train(whole.trainer, some, whole.random);
  save(folder.path / "run", whole, "grid", {0.25, 7.5});
  const std::string middle = state(whole);
  const double log_z = whole.trainer.log_z_estimate();
  gfn::train(whole.trainer, some, whole.random);

  Run resumed(4);  // other networks, another seed, and a trainer that has been used
  gfn::train(resumed.trainer, {.iterations = 2, .batch = 5}, resumed.random);
  CHECK(load(folder.path / "run", resumed) == std::vector<double>{0.25, 7.5});
  CHECK(resumed.trainer.iteration() == some.iterations);
  CHECK(resumed.trainer.log_z_estimate() == log_z);
  CHECK(resumed.random.seed() == 3);
  CHECK((state(resumed) == middle));
  gfn::train(resumed.trainer, some, resumed.random);
  CHECK((state(resumed) == state(whole)));
  CHECK_FALSE((state(resumed) == middle));
}

}  // namespace

TEST_CASE("resuming from a checkpoint gives the same bits as not having stopped") {
  check_resuming<BalanceRun<float>>();
  check_resuming<BalanceRun<double>>();
  check_resuming<CoupledRun<float>>();
  check_resuming<CoupledRun<double>>();
  check_resuming<DetailedBalanceRun<float>>();
  check_resuming<DetailedBalanceRun<double>>();
  check_resuming<SubtrajectoryRun<float>>();
  check_resuming<SubtrajectoryRun<double>>();
  check_resuming<TrustRegionRun<float>>();
  check_resuming<TrustRegionRun<double>>();
}

TEST_CASE("networks made after a checkpoint is loaded are those of the run that wrote it") {
  const Folder folder;
  BalanceRun<float> first(3), second(4);
  save(folder.path / "run", first);
  load(folder.path / "run", second);
  CHECK(first.random.next_initialisation()() == second.random.next_initialisation()());
}

TEST_CASE("a damaged checkpoint is refused, and changes nothing") {
  const Folder folder;
  const fs::path path = folder.path / "run";
  BalanceRun<float> writer(3), reader(4);
  gfn::train(writer.trainer, some, writer.random);
  gfn::train(reader.trainer, {.iterations = 2, .batch = 5}, reader.random);
  save(path, writer);
  const std::string good = gfn::read_file(path);

  SECTION("missing") {
    CHECK(contains(refusal(folder.path / "other", reader), "other': No such file"));
    CHECK(contains(refusal(folder.path, reader), "Is a directory"));
  }
  SECTION("empty or foreign") {
    for (const std::string_view content : {"", "PK\3\4", "{\"iteration\": 1}\n"}) {
      write(path, content);
      CHECK(contains(refusal(path, reader), "is not a checkpoint of gfn"));
    }
  }
  SECTION("cut off anywhere") {
    for (const std::size_t length : {std::size_t{1}, std::size_t{16}, std::size_t{31}, std::size_t{32}, std::size_t{40},
                                     good.size() / 2, good.size() - 8, good.size() - 1}) {
      write(path, good.substr(0, length));
      CHECK(contains(refusal(path, reader), length < 32 ? "is cut off after" : "it is cut off"));
    }
  }
  SECTION("too long") {
    write(path, good + "x");
    CHECK(contains(refusal(path, reader),
                   std::to_string(good.size() + 1) + " bytes, " + std::to_string(good.size()) + " were written"));
  }
  SECTION("one bit flipped anywhere") {
    for (std::size_t position = 0; position < good.size(); position += 97) {
      std::string bad = good;
      bad[position] = static_cast<char>(bad[position] ^ 4);
      write(path, bad);
      const std::string message = refusal(path, reader);
      if (position > 40) contains(message, "is damaged: its checksum is");
    }
  }
  SECTION("another format version") {
    std::string bad = good;
    bad[16] = 9;
    write(path, bad);
    CHECK(contains(refusal(path, reader), "has format version 9; this library reads version 2"));
  }
  SECTION("one of gfn 0.1") {
    std::string bad = good;
    bad[16] = 1;
    write(path, bad);
    CHECK(contains(refusal(path, reader), "has format version 1, which gfn 0.1 wrote; this library reads version 2"));
  }
  SECTION("a size that cannot be, with a checksum that fits") {
    std::string bad = good;
    const std::size_t numbers = bad.size() - 16;  // how many numbers of the caller there are: none
    bad[numbers + 7] = 0x20;                      // 2^61, whose bytes do not fit into 64 bits
    write(path, sealed(bad));
    CHECK(contains(refusal(path, reader), "ends in the middle of"));
  }
  write(path, good);
  load(path, reader);
  CHECK((state(reader) == state(writer)));
}

TEST_CASE("a checkpoint of something else is refused with both values") {
  const Folder folder;
  const fs::path path = folder.path / "run";
  BalanceRun<float> writer(3);
  save(path, writer, "method: tb-b\nside: 6\nbatch: 8");

  SECTION("another description: the line that differs") {
    BalanceRun<float> reader(4);
    CHECK(contains(refusal(path, reader, "method: tb-b\nside: 7\nbatch: 9"), "'side: 6' there, and 'side: 7' here"));
    CHECK(contains(refusal(path, reader, "method: tb-b"), "'side: 6' there, and '' here"));
  }
  const std::string_view same = "method: tb-b\nside: 6\nbatch: 8";
  SECTION("another shape") {
    BalanceRun<float> reader(4, 15);
    const std::string message = refusal(path, reader, same);
    CHECK(contains(message,
                   "'perceptron of 12 features, hidden layers 16 16 with ReLU' there, and 'perceptron of 12 features, "
                   "hidden layers 15 16 with ReLU' here"));
  }
  SECTION("another activation") {
    const gfn::HyperGrid env{{.dimension = 2, .side = 6}};
    gfn::Random random(4);
    auto forward = gfn::mlp_policy<float, gfn::Tanh>(env, {.hidden = {16, 16}}, random);
    auto backward = gfn::mlp_backward<float>(env, {.hidden = {16, 16}}, random);
    auto trainer = gfn::trajectory_balance_trainer(env, forward, backward);
    const std::string message = message_of<gfn::Error>([&] { gfn::load_checkpoint(path, trainer, random, same); });
    CHECK(contains(message, "with ReLU' there"));
    CHECK(contains(message, "with tanh' here"));
  }
  SECTION("another objective on the same networks") {
    BalanceRun<float> reader(4);
    const auto refused = [&](auto&& trainer) {
      return message_of<gfn::Error>([&] { gfn::load_checkpoint(path, trainer, reader.random, same); });
    };
    CHECK(contains(
        refused(gfn::objective_trainer(reader.env, gfn::ModifiedDetailedBalance{}, reader.forward, reader.backward)),
        "objective is 'trajectory balance' there, and 'modified detailed balance' here"));
    CHECK(contains(refused(gfn::objective_trainer(reader.env, OwnObjective{}, reader.forward, reader.backward)),
                   "objective is 'trajectory balance' there"));  // a type without a description is known by its name
  }
  SECTION("another scalar type") {
    BalanceRun<double> reader(4);
    CHECK(contains(refusal(path, reader, same), "'forward policy' is float32 there, and float64 here"));
  }
  SECTION("another trainer") {
    CoupledRun<float> reader(4);
    CHECK_FALSE(refusal(path, reader, same).empty());
    save(path, reader, same);
    BalanceRun<float> back(4);
    CHECK_FALSE(refusal(path, back, same).empty());
  }
}

TEST_CASE("a checkpoint that cannot be written leaves the old one and no debris") {
  const Folder folder;
  const fs::path path = folder.path / "run";
  BalanceRun<float> run(3);
  save(path, run);
  const std::string old = gfn::read_file(path);
  CHECK(folder.files() == 1);
  gfn::train(run.trainer, some, run.random);

  const auto message = [&](const fs::path& target) -> std::string {
    try {
      save(target, run);
    } catch (const gfn::Error& error) {
      return error.what();
    }
    FAIL("the checkpoint was written");
    return "";
  };
  SECTION("no folder") { CHECK(contains(message(folder.path / "nowhere" / "run"), "No such file or directory")); }
  SECTION("a folder of that name") {
    fs::create_directory(folder.path / "taken");
    CHECK(contains(message(folder.path / "taken"), "taken': Is a directory"));
    fs::remove(folder.path / "taken");
  }
  CHECK(folder.files() == 1);
  CHECK((gfn::read_file(path) == old));
  save(path, run);
  CHECK_FALSE((gfn::read_file(path) == old));
}
