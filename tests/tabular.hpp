// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include <gfn/core/random.hpp>
#include <gfn/exact/gradient.hpp>
#include <gfn/exact/policy_table.hpp>
#include <gfn/exact/state_graph.hpp>
#include <gfn/policy/tabular.hpp>

/// Tables over the states of a graph, row for row, filled in ways that tests want.
namespace tabular {

template <class E>
using Table = gfn::TabularFunction<double, E>;

/// Normal numbers, the same for the same seed.
template <class T, class E>
void randomise(gfn::TabularFunction<T, E>& table, std::uint64_t seed, double scale = 1) {
  gfn::Stream stream(seed, gfn::Purpose::user, 0, 0);
  gfn::Out<T> values = table.modify();
  for (Eigen::Index i = 0; i < values.size(); ++i) values.data()[i] = static_cast<T>(scale * stream.normal());
}

template <class E>
Table<E> random_forward(const gfn::exact::StateGraph<E>& graph, std::uint64_t seed) {
  auto table = gfn::tabular_policy<double>(graph.environment(), graph.states());
  randomise(table, seed);
  return table;
}
template <class E>
Table<E> random_backward(const gfn::exact::StateGraph<E>& graph, std::uint64_t seed) {
  auto table = gfn::tabular_backward<double>(graph.environment(), graph.states());
  randomise(table, seed);
  return table;
}
template <class E>
Table<E> random_value(const gfn::exact::StateGraph<E>& graph, std::uint64_t seed) {
  auto table = gfn::tabular_value<double>(graph.environment(), graph.states());
  randomise(table, seed);
  return table;
}

/// A value table with the given numbers, one per row.
template <class E>
Table<E> value_table(const gfn::exact::StateGraph<E>& graph, std::span<const double> numbers) {
  auto table = gfn::tabular_value<double>(graph.environment(), graph.states());
  gfn::Out<double> values = table.modify();
  for (std::size_t i = 0; i < numbers.size(); ++i) values.data()[i] = numbers[i];
  return table;
}

/// A forward policy with the given log-probabilities.
template <class E>
Table<E> forward_table(const gfn::exact::StateGraph<E>& graph, const gfn::exact::ForwardLogProbabilities& log_p) {
  auto table = gfn::tabular_policy<double>(graph.environment(), graph.states());
  gfn::Out<double> values = table.modify();
  for (std::size_t e = 0; e < graph.num_edges(); ++e)
    values(graph.edges()[e].source, graph.edges()[e].action) = log_p.edges[e];
  for (std::size_t i = 0; i < log_p.exits.size(); ++i)
    values(graph.terminal_rows()[i], graph.environment().num_actions()) = log_p.exits[i];
  return table;
}

/// The derivative of f() by the numbers of a table: central differences of order 8, good for about 13 digits.
template <class E, class F>
Eigen::VectorXd derivative(Table<E>& table, const F& f) {
  constexpr double h = 1e-2;
  constexpr double weights[] = {4. / 5, -1. / 5, 4. / 105, -1. / 280};
  Eigen::VectorXd result(table.parameters().size());
  for (Eigen::Index i = 0; i < result.size(); ++i) {
    const double x = table.parameters().value()[i];
    double sum = 0;
    for (int k = 1; k <= 4; ++k)
      for (const int sign : {1, -1}) {
        table.parameters().modify()[i] = x + sign * k * h;
        sum += sign * weights[k - 1] * f();
      }
    table.parameters().modify()[i] = x;
    result[i] = sum / h;
  }
  return result;
}

/// Σ over the trajectories of a law of p(τ)·f(actions).
template <class F>
double expectation(const gfn::exact::TrajectoryLaw& law, const F& f) {
  double sum = 0;
  for (std::size_t i = 0; i < law.trajectories.size(); ++i) sum += law.probabilities[i] * f(law.trajectories[i]);
  return sum;
}

}  // namespace tabular
