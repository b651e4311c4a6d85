// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <gfn/gfn.hpp>
#include <new>
#include <string_view>
#include <vector>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "malloc_counter.hpp"

namespace {

/// Sets of at most `most` of n items, as sorted lists: states that hold memory of their own.
struct Lists {
  using State = std::vector<int>;
  int n = 9, most = 5;

  State initial_state() const { return {}; }
  int num_actions() const { return n; }
  void legal_actions(const State& s, gfn::Mask legal) const {
    for (int i = 0; i < n; ++i) legal[i] = static_cast<int>(s.size()) < most && !has(s, i);
  }
  bool can_exit(const State&) const { return true; }
  void apply(State& s, gfn::Action a) const { s.insert(std::lower_bound(s.begin(), s.end(), a), a); }
  void legal_undos(const State& s, gfn::Mask legal) const {
    for (const int i : s) legal[i] = true;
  }
  void undo(State& s, gfn::Action a) const { s.erase(std::lower_bound(s.begin(), s.end(), a)); }
  double log_reward(const State& s) const {
    double sum = 0;
    for (const int i : s) sum += std::sin(i);
    return sum;
  }
  int num_features() const { return n; }
  void encode(const State& s, gfn::Features out) const {
    for (const int i : s) out.one(i);
  }

 private:
  static bool has(const State& s, int i) { return std::binary_search(s.begin(), s.end(), i); }
};

/// All that a trainer's next steps depend on, put aside and put back.
class Snapshot {
 public:
  template <class Trainer>
  explicit Snapshot(Trainer& trainer) {
    trainer.visit_state(*this);
    restoring_ = true;
  }
  template <class Trainer>
  void restore(Trainer& trainer) {
    next_ = 0;
    trainer.visit_state(*this);
  }

  template <class T>
  void operator()(std::string_view name, gfn::Parameters<T>& parameters) {
    (*this)(name, parameters.modify().data(), static_cast<std::size_t>(parameters.size()));
  }
  template <class T>
  void operator()(std::string_view, T* data, std::size_t count) {
    if (!restoring_) parts_.emplace_back(count * sizeof(T));
    std::vector<char>& part = parts_[next_++];
    if (part.empty()) return;
    if (restoring_)
      std::memcpy(data, part.data(), part.size());
    else
      std::memcpy(part.data(), data, part.size());
  }

 private:
  std::vector<std::vector<char>> parts_;
  std::size_t next_ = 0;
  bool restoring_ = false;
};

/// Runs the same steps twice, with the same bits, and returns how often the second run asked for memory.
template <class Trainer>
std::int64_t allocations_of_second_run(Trainer& trainer, int iterations) {
  const gfn::Random random{7};
  std::vector<double> first, second;
  second.reserve(static_cast<std::size_t>(iterations));
  const auto run = [&](std::vector<double>& losses) {
    for (int i = 0; i < iterations; ++i) losses.push_back(trainer.step(random, 16).loss);
  };
  Snapshot start(trainer);
  run(first);
  start.restore(trainer);
  const std::int64_t before = allocations();
  run(second);
  const std::int64_t during = allocations() - before;
  CHECK(first == second);
  return during;
}
/// After a single step, and after many: the last of a run may be the one that needed most.
template <class Trainer>
void check_steps(const char* method, Trainer&& trainer) {
  CAPTURE(method);
  CHECK(allocations_of_second_run(trainer, 1) == 0);
  CHECK(allocations_of_second_run(trainer, 40) == 0);
}

template <class E>
void check_all_methods(const E& env) {
  gfn::Random random{1};
  const gfn::MlpOptions hidden{.hidden = {64, 64}};
  auto forward = gfn::mlp_policy<float>(env, hidden, random);
  auto backward = gfn::mlp_backward<float>(env, hidden, random);
  auto value = gfn::mlp_value<float>(env, hidden, random);
  auto backward_value = gfn::mlp_value<float>(env, hidden, random);
  auto flow = gfn::mlp_flow<float>(env, hidden, random);
  auto uniform = gfn::uniform_backward(env);
  gfn::DiscouragedExit guide([&env](const auto& state) { return env.log_reward(state) < 0; }, -2.0);
  const gfn::DetailedBalance db;
  const gfn::ModifiedDetailedBalance mdb;
  const gfn::SubtrajectoryBalance subtb;

  check_steps("tb-u", gfn::trajectory_balance_trainer(env, forward, uniform));
  check_steps("tb-b", gfn::trajectory_balance_trainer(env, forward, backward));
  check_steps("tb-u, exploring",
              gfn::trajectory_balance_trainer(env, forward, uniform, {.exploration = {.start = 0.5}}));
  check_steps("db-u", gfn::objective_trainer(env, db, forward, uniform, flow));
  check_steps("db-b", gfn::objective_trainer(env, db, forward, backward, flow));
  if (env.can_exit(env.initial_state())) {  // as modified DB needs everywhere
    check_steps("mdb-u", gfn::objective_trainer(env, mdb, forward, uniform));
    check_steps("mdb-b", gfn::objective_trainer(env, mdb, forward, backward));
  }
  check_steps("subtb-u", gfn::objective_trainer(env, subtb, forward, uniform, flow));
  check_steps("subtb-b", gfn::objective_trainer(env, subtb, forward, backward, flow));
  check_steps("fm", gfn::objective_trainer(env, gfn::FlowMatching{}, forward, uniform));
  check_steps("rl-u", gfn::policy_gradient_trainer(env, forward, uniform, value));
  check_steps("rl-t", gfn::trust_region_trainer(env, forward, uniform, value));
  check_steps("rl-b", gfn::coupled_trainer(env, forward, backward, value, backward_value));
  check_steps("rl-g", gfn::coupled_trainer(env, forward, backward, value, backward_value, {},
                                           gfn::GuidedBackwardReward(guide)));
}

/// The buffer grows to its capacity, and steps cannot be repeated: so the steps that count come after many others.
template <class E>
void check_munchausen(const E& env, std::size_t capacity) {
  gfn::Random random{1};
  auto q = gfn::mlp_policy<float>(env, {.hidden = {64, 64}}, random);
  auto target = gfn::mlp_policy<float>(env, {.hidden = {64, 64}}, random);
  auto trainer = gfn::munchausen_trainer(env, q, target, {.replay = {.capacity = capacity}});
  for (int i = 0; i < 200; ++i) trainer.step(random, 16);
  const std::int64_t before = allocations();
  for (int i = 0; i < 20; ++i) trainer.step(random, 16);
  CHECK(allocations() - before == 0);
}

/// Data without structure.
Eigen::MatrixXd noise(int samples, int variables) {
  gfn::Stream stream(7, gfn::Purpose::user, 0, 0);
  Eigen::MatrixXd x(samples, variables);
  for (double& entry : x.reshaped()) entry = stream.normal();
  return x;
}

}  // namespace

TEST_CASE("the counter sees every way to ask for memory", "[allocation]") {
  if (!allocations_are_counted()) return;
  const auto counted = [](auto&& allocate) {
    const std::int64_t before = allocations();
    void* volatile p = allocate();  // volatile: or the compiler may leave the allocation out
    const std::int64_t during = allocations() - before;
    std::free(p);
    return during;
  };
  CHECK(counted([] { return std::malloc(40); }) == 1);
  CHECK(counted([] { return std::calloc(10, 4); }) == 1);
  CHECK(counted([] { return std::realloc(nullptr, 40); }) == 1);
  CHECK(counted([] { return std::aligned_alloc(64, 128); }) == 1);
  CHECK(counted([] {
          void* p = nullptr;
          return posix_memalign(&p, 64, 128) == 0 ? p : nullptr;
        }) == 1);
  CHECK(counted([] { return ::operator new(40); }) == 1);
  CHECK(counted([] { return ::operator new (128, std::align_val_t{64}); }) == 1);
}

TEST_CASE("a warmed-up training step allocates nothing: states without memory of their own", "[allocation]") {
  check_all_methods(gfn::HyperGrid{{.dimension = 2, .side = 8}});
}

TEST_CASE("a warmed-up training step allocates nothing: states that hold memory", "[allocation]") {
  check_all_methods(Lists{});
}

TEST_CASE("a warmed-up training step allocates nothing: sequences", "[allocation]") {
  check_all_methods(gfn::SlotSequence<environments::Wavy, 4>({.length = 4, .alphabet_size = 3}, environments::Wavy{}));
  check_all_methods(
      gfn::PrependAppendSequence<environments::Wavy, 4>({.length = 4, .alphabet_size = 3}, environments::Wavy{}));
}

TEST_CASE("a warmed-up training step allocates nothing: Bayesian networks", "[allocation]") {
  check_all_methods(gfn::BayesianNetwork<gfn::BgeScore, gfn::UniformPrior, 8>(gfn::BgeScore(noise(30, 5))));
  check_all_methods(gfn::BayesianNetwork<gfn::BgeScore, gfn::ErdosRenyiPrior, 8>(
      gfn::BgeScore(noise(30, 5)), {.max_parents = 2}, gfn::ErdosRenyiPrior(0.3)));
}

TEST_CASE("a BGe score that is not in the cache allocates nothing", "[allocation]") {
  const gfn::BgeScore score(noise(100, 64), {.cache_entries = 0});
  double sum = 0;
  const std::int64_t before = allocations();
  for (int node = 1; node < 64; ++node) sum += score.local_score(node, gfn::node_set(node) - 1);  // all before it
  CHECK(allocations() - before == 0);
  CHECK(std::isfinite(sum));
}

TEST_CASE("a warmed-up training step allocates nothing: functions that are evaluated twice", "[allocation]") {
  const gfn::HyperGrid env{{.dimension = 2, .side = 8}};
  const gfn::exact::StateGraph graph(env);
  auto forward = gfn::tabular_policy<double>(env, graph.states());
  auto uniform = gfn::uniform_backward(env);
  auto value = gfn::tabular_value<double>(env, graph.states());
  check_steps("tb-u", gfn::trajectory_balance_trainer(env, forward, uniform));
  check_steps("rl-u", gfn::policy_gradient_trainer(env, forward, uniform, value));
}

TEST_CASE("Munchausen DQN allocates nothing when its buffer is full", "[allocation]") {
  check_munchausen(gfn::HyperGrid{{.dimension = 2, .side = 4}}, 500);
  check_munchausen(Lists{.n = 4, .most = 2}, 100);  // so few states that every place has held one of two items
}

// Eigen's own product, which no training step uses, would call malloc twice at these sizes, each time: from 128 KiB on
// (EIGEN_STACK_ALLOCATION_LIMIT) its packing buffers come from there.
TEST_CASE("dense products allocate nothing", "[allocation]") {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Rows x = Rows::Random(1024, 256), w = Rows::Random(256, 256);
  Rows y(1024, 256), gx(1024, 256), gw = Rows::Zero(256, 256);
  const auto products = [&] {
    gfn::product<float>(y, x, w);
    gfn::add_product_gradients<float>(gx, gw, x, y, w, [](Eigen::Index, Eigen::Index) {});
  };
  products();
  const std::int64_t before = allocations();
  products();
  CHECK(allocations() - before == 0);
}
