// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <gfn/exact/gradient.hpp>
#include <gfn/exact/policy_table.hpp>
#include <gfn/problems/hypergrid.hpp>
#include <gfn/trainer/coupled_trainer.hpp>

#include "catch.hpp"
#include "environment/environments.hpp"
#include "tabular.hpp"

// Centred advantages couple the trajectories of a batch. Along backward walks the mean is over the steps of the walks,
// and the exits, which are none of them, neither count in it nor lose it.

namespace {

using gfn::HyperGrid;
using gfn::exact::StateGraph;
using Actions = std::vector<gfn::Action>;

constexpr double lambda = 0.7;

/// One step of a walk back: the edge that it undoes, its advantage before centring.
struct WalkStep {
  std::size_t edge;
  double advantage;
};

/// The formulas of the method, on edges of a graph and without a batch: tables of log-probabilities and V_B by row.
template <class E>
struct ByHand {
  const StateGraph<E>& graph;
  gfn::exact::ForwardLogProbabilities log_f;
  gfn::exact::BackwardLogProbabilities log_b;
  std::vector<double> value;
  gfn::Shape shape;  // of the backward policy's logits

  /// The advantages of the walk back from where a trajectory ends, from its last step to its first.
  std::vector<WalkStep> walk(const Actions& actions) const {
    std::vector<WalkStep> steps;
    double before = 0, value_before = 0;  // of the step nearer to the start, which the walk takes next
    gfn::exact::follow(graph, actions, [&](std::size_t e) {
      const double v = value[static_cast<std::size_t>(graph.edges()[e].child)];
      before = log_b.edges[e] - log_f.edges[e] + value_before - v + lambda * before;
      value_before = v;
      steps.push_back({e, before});
    });
    return steps;
  }
  /// Adds weight·∂ log π_B(edge)/∂ logits; nothing where the walk has no choice.
  void add_score(std::size_t edge, double weight, gfn::Matrix<double>& gradient) const {
    const int child = graph.edges()[edge].child;
    for (std::size_t e = 0; e < graph.num_edges(); ++e)
      if (graph.edges()[e].child == child)
        gradient(child, graph.edges()[e].backward_action) += weight * ((e == edge ? 1 : 0) - std::exp(log_b.edges[e]));
  }
  /// The expectation over pairs of walks, each step's advantage minus the mean of those of both.
  gfn::Matrix<double> expected(const gfn::exact::TrajectoryLaw& law) const {
    gfn::Matrix<double> gradient = gfn::Matrix<double>::Zero(shape.rows, shape.cols);
    for (std::size_t i = 0; i < law.trajectories.size(); ++i)
      for (std::size_t j = 0; j < law.trajectories.size(); ++j) {
        std::vector<WalkStep> steps = walk(law.trajectories[i]);
        const std::vector<WalkStep> others = walk(law.trajectories[j]);
        steps.insert(steps.end(), others.begin(), others.end());
        double mean = 0;
        for (const WalkStep& step : steps) mean += step.advantage / static_cast<double>(steps.size());
        const double probability = law.probabilities[i] * law.probabilities[j];
        for (const WalkStep& step : steps) add_score(step.edge, probability * (step.advantage - mean) / 2, gradient);
      }
    return gradient;
  }
};

template <class E>
void check_pairs(const E& env) {
  const StateGraph<E> graph(env);
  auto forward = tabular::random_forward(graph, 1);
  auto backward = tabular::random_backward(graph, 2);
  auto value = tabular::random_value(graph, 3);
  auto backward_value = tabular::random_value(graph, 4);
  std::vector<double> v(graph.states().size());
  for (std::size_t row = 0; row < v.size(); ++row) v[row] = backward_value.table()(static_cast<Eigen::Index>(row), 0);
  v[0] = 0;  // V_B(s₀) = 0, whatever the table says
  const ByHand<E> by_hand{graph, gfn::exact::forward_log_probabilities(graph, forward),
                          gfn::exact::backward_log_probabilities(graph, backward), v,
                          backward.parameters().block(0).shape};
  // walks from states that follow a law of their own
  auto other = tabular::random_forward(graph, 5);
  const std::vector<double> rho = gfn::exact::terminating_distribution(graph, other);
  const auto law = gfn::exact::trajectory_law(graph, rho, by_hand.log_b);

  auto& parameters = backward.parameters();
  const auto gradient = [&](bool center, int batch) -> gfn::Matrix<double> {
    auto trainer = gfn::coupled_trainer(env, forward, backward, value, backward_value,
                                        {.backward = {.lambda = lambda, .center = center}});
    const Eigen::VectorXd mean = gfn::exact::expected_gradient(
                                     env, law, {.batch = batch},
                                     [&](auto& b) {
                                       b.assume_walked_back_by(backward);
                                       trainer.backward_gradient(b);
                                     },
                                     parameters)
                                     .mean;
    return gfn::In<double>(mean.data(), by_hand.shape.rows, by_hand.shape.cols);
  };
  const gfn::Matrix<double> centred = gradient(true, 2);
  CHECK((centred - by_hand.expected(law)).norm() < 1e-12 * centred.norm());
  // uncentred batches do not depend on their size; centred ones are biased
  const gfn::Matrix<double> plain = gradient(false, 2);
  CHECK((plain - gradient(false, 1)).norm() < 1e-12 * plain.norm());
  CHECK((centred - plain).norm() > 0.05 * plain.norm());
}

}  // namespace

TEST_CASE("centred backward gradients have the exact mean over pairs of walks: a grid, where walks differ in length") {
  check_pairs(HyperGrid{{.dimension = 2, .side = 3}});
}

TEST_CASE("centred backward gradients have the exact mean over pairs of walks: parallel edges") {
  check_pairs(environments::PrependAppend{.letters = 2, .length = 2});
}
