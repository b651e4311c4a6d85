// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include <gfn/core/action.hpp>
#include <gfn/core/eigen.hpp>
#include <gfn/core/error.hpp>
#include <gfn/core/hash_index.hpp>
#include <gfn/problems/dag.hpp>

namespace gfn {

/// Hyperparameters of the BGe score for n variables; those that are not given take the values in brackets.
struct BgeOptions {
  double alpha_mu = 1;                           ///< prior observations of the mean, above 0
  std::optional<double> alpha_w = std::nullopt;  ///< degrees of freedom of the Wishart prior, above n − 1 [n + 2]
  std::optional<double> t = std::nullopt;        ///< its scale T = t·I, above 0 [α_μ(α_w − n − 1)/(α_μ + 1)]
  std::vector<double> nu = {};                   ///< prior mean of each variable [0]
  int table_nodes = 20;         ///< up to so many variables (at most 30) everything is computed at once, 2ⁿ numbers
  int cache_entries = 1 << 20;  ///< above, so many numbers are kept of those that were asked for
};

namespace detail {

/// log det M_SS for sets S of rows and columns of a positive definite matrix M. Either all 2ⁿ are computed at once, or
/// those asked for are cached. A set is one entry, whatever the node whose score asks for it. May be called from
/// several threads at once.
class LogDeterminants {
 public:
  /// A pivot of the Cholesky factor that is not above `smallest_pivot` of its diagonal entry is refused.
  LogDeterminants(Eigen::MatrixXd matrix, double smallest_pivot, int table_nodes, int cache_entries)
      : matrix_(std::move(matrix)),
        smallest_pivot_(smallest_pivot),
        shard_entries_(static_cast<std::size_t>(cache_entries) / num_shards) {
    if (matrix_.rows() > table_nodes) {
      shards_ = std::make_unique<Shard[]>(num_shards);
    } else {
      table_.resize(std::size_t{1} << matrix_.rows());
      Factor factor(matrix_.rows());
      fill_table(factor, 0, 0, 0);
    }
  }

  double operator()(NodeSet set) const {
    if (!table_.empty()) return table_[set];
    const std::uint64_t hash = mix_bits(set);
    Shard& shard = shards_[hash % num_shards];
    const auto same = [&](int row) { return shard.entries[static_cast<std::size_t>(row)].first == set; };
    {
      const std::lock_guard lock(shard.mutex);
      if (const int row = shard.index.find(hash, same); row != none)
        return shard.entries[static_cast<std::size_t>(row)].second;
    }
    const double value = compute(set);
    const std::lock_guard lock(shard.mutex);
    const int next = static_cast<int>(shard.entries.size());
    if (shard.entries.size() < shard_entries_ && shard.index.find_or_insert(hash, next, same) == none)
      shard.entries.push_back({set, value});
    return value;
  }

 private:
  static constexpr int max_nodes = 64;
  /// A Cholesky factor that grows by one node at a time.
  struct Factor {
    explicit Factor(Eigen::Index capacity) : lower(capacity, capacity) {}
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, max_nodes, max_nodes> lower;  // no malloc
    std::array<int, max_nodes> nodes{};
  };
  /// A part of the cache with a lock of its own, so that threads seldom wait for one another.
  struct alignas(64) Shard {
    std::mutex mutex;
    HashIndex index;
    std::vector<std::pair<NodeSet, double>> entries;
  };
  static constexpr std::size_t num_shards = 64;

  /// Appends a node to a factor of `size` nodes. Returns the logarithm of its pivot, by which log det grows.
  double append(Factor& factor, int size, int node) const {
    auto& lower = factor.lower;
    double pivot = matrix_(node, node);
    for (int k = 0; k < size; ++k) {
      const double rest =
          matrix_(node, factor.nodes[static_cast<std::size_t>(k)]) - lower.row(k).head(k).dot(lower.row(size).head(k));
      lower(size, k) = rest / lower(k, k);
      pivot -= lower(size, k) * lower(size, k);
    }
    if (!(pivot > smallest_pivot_ * matrix_(node, node)))
      fail("BgeScore: variable ", node,
           " is so nearly a linear function of others that double precision can't tell: ", pivot / matrix_(node, node),
           " of its variation is left, which must be above ", smallest_pivot_,
           "; drop the variable, or rescale the data so that t counts");
    lower(size, size) = std::sqrt(pivot);
    factor.nodes[static_cast<std::size_t>(size)] = node;
    return std::log(pivot);
  }

  /// Enters all sets that add nodes from `first` on to a set of `size` nodes with the given log det.
  void fill_table(Factor& factor, NodeSet set, int size, int first) {
    for (int v = first; v < matrix_.rows(); ++v) {
      table_[set | node_set(v)] = table_[set] + append(factor, size, v);
      fill_table(factor, set | node_set(v), size + 1, v + 1);
    }
  }

  double compute(NodeSet set) const {
    Factor factor(count_nodes(set));
    double sum = 0;
    int size = 0;
    for_each_node(set, [&](int v) { sum += append(factor, size++, v); });
    return sum;
  }

  Eigen::MatrixXd matrix_;
  double smallest_pivot_;
  std::size_t shard_entries_;
  std::vector<double> table_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace detail

/// The Bayesian Gaussian equivalent score: the log marginal likelihood of a linear-Gaussian network under a
/// normal-Wishart prior. With N samples x of n variables and l = |Pa|:
///   R = t·I + Σ (x − x̄)(x − x̄)ᵀ + Nα_μ/(N + α_μ) (x̄ − ν)(x̄ − ν)ᵀ,   a = ½(N + α_w − n + l),
///   local_score(j, Pa) = c_l + a log det R_{Pa,Pa} − (a + ½) log det R_{Pa∪j,Pa∪j},
///   c_l = ½ log(α_μ/(N + α_μ)) + log Γ(a + ½) − log Γ(½(α_w − n + l + 1)) − ½N log π + ½(α_w − n + 2l + 1) log t.
/// Markov-equivalent graphs have equal scores. Geiger and Heckerman, Annals of Statistics 30 (2002); Kuipers, Moffa and
/// Heckerman, Annals of Statistics 42 (2014).
///
/// A local score costs two look-ups: all determinants are computed at once for up to `table_nodes` variables (8 MB and
/// a fraction of a second at 20), and cached as they are asked for above. Copies share them. Const members may be
/// called from several threads at once.
class BgeScore {
 public:
  /// One row of `samples` per sample, one column per variable, 1 to 64. Throws std::invalid_argument for options out of
  /// range or data that are not finite, and gfn::Error where a variable is numerically a function of others.
  explicit BgeScore(const Eigen::Ref<const Eigen::MatrixXd>& samples, const BgeOptions& options = {})
      : options_(options),
        num_nodes_(static_cast<int>(samples.cols())),
        num_samples_(static_cast<double>(samples.rows())) {
    require(samples.rows() >= 1 && num_nodes_ >= 1 && num_nodes_ <= 64, "BgeScore: the data have ", samples.rows(),
            " rows and ", samples.cols(), " columns, there must be at least 1 row and between 1 and 64 columns");
    require(samples.allFinite(), "BgeScore: the data hold a number that is not finite");
    fill_in_options();
    for (int l = 0; l < num_nodes_; ++l) constants_.push_back(constant(l));
    // Rounding moves a pivot by about epsilon of its diagonal entry: with a smaller one the score would be off by 1.
    log_determinants_ = std::make_shared<const detail::LogDeterminants>(
        posterior_scale(samples), num_samples_ * std::numeric_limits<double>::epsilon(), options_.table_nodes,
        options_.cache_entries);
  }

  /// The options, with every value filled in.
  const BgeOptions& options() const { return options_; }
  int num_nodes() const { return num_nodes_; }

  /// log P(the data of the node | those of its parents). The node is not one of its parents.
  double local_score(int node, NodeSet parents) const {
    GFN_ASSERT(node >= 0 && node < num_nodes_ && (parents & node_set(node)) == 0);
    const int l = count_nodes(parents);
    const double a = half_degrees(l);
    return constants_[static_cast<std::size_t>(l)] + a * (*log_determinants_)(parents) -
           (a + 0.5) * (*log_determinants_)(parents | node_set(node));
  }

 private:
  void fill_in_options() {
    const double n = num_nodes_;
    require(options_.alpha_mu > 0 && std::isfinite(options_.alpha_mu), "BgeScore: alpha_mu is ", options_.alpha_mu,
            ", it must be finite and above 0");
    if (!options_.alpha_w) options_.alpha_w = n + 2;
    require(*options_.alpha_w > n - 1 && std::isfinite(*options_.alpha_w), "BgeScore: alpha_w is ", *options_.alpha_w,
            " for ", num_nodes_, " variables, it must be finite and above their number less 1");
    if (!options_.t) options_.t = options_.alpha_mu * (*options_.alpha_w - n - 1) / (options_.alpha_mu + 1);
    require(*options_.t > 0 && std::isfinite(*options_.t), "BgeScore: t is ", *options_.t,
            " (where it is not given, alpha_mu (alpha_w - n - 1)/(alpha_mu + 1)), it must be finite and above 0");
    if (options_.nu.empty()) options_.nu.assign(static_cast<std::size_t>(num_nodes_), 0.0);
    require(options_.nu.size() == static_cast<std::size_t>(num_nodes_), "BgeScore: nu has ", options_.nu.size(),
            " entries for ", num_nodes_, " variables");
    for (const double x : options_.nu) require(std::isfinite(x), "BgeScore: nu holds ", x, ", it must be finite");
    require(options_.table_nodes >= 0 && options_.table_nodes <= 30, "BgeScore: table_nodes is ", options_.table_nodes,
            ", it must be between 0 and 30");
    require(options_.cache_entries >= 0, "BgeScore: cache_entries is ", options_.cache_entries,
            ", it must be at least 0");
  }

  /// ½(N + α_w − n + l).
  double half_degrees(int l) const { return 0.5 * (num_samples_ + *options_.alpha_w - num_nodes_ + l); }

  double constant(int l) const {
    const double prior_degrees = *options_.alpha_w - num_nodes_ + l;
    return 0.5 * std::log(options_.alpha_mu / (num_samples_ + options_.alpha_mu)) + std::lgamma(half_degrees(l) + 0.5) -
           std::lgamma(0.5 * (prior_degrees + 1)) - 0.5 * num_samples_ * std::log(std::numbers::pi) +
           0.5 * (prior_degrees + l + 1) * std::log(*options_.t);
  }

  /// R.
  Eigen::MatrixXd posterior_scale(const Eigen::Ref<const Eigen::MatrixXd>& samples) const {
    const Eigen::RowVectorXd mean = samples.colwise().mean();
    const Eigen::MatrixXd centred = samples.rowwise() - mean;
    const Eigen::RowVectorXd shift = mean - Eigen::Map<const Eigen::RowVectorXd>(options_.nu.data(), num_nodes_);
    Eigen::MatrixXd scale = *options_.t * Eigen::MatrixXd::Identity(num_nodes_, num_nodes_);
    scale.noalias() += centred.transpose() * centred;
    scale += num_samples_ * options_.alpha_mu / (num_samples_ + options_.alpha_mu) * (shift.transpose() * shift);
    return scale;
  }

  BgeOptions options_;
  int num_nodes_;
  double num_samples_;
  std::vector<double> constants_;  // c_l
  std::shared_ptr<const detail::LogDeterminants> log_determinants_;
};

}  // namespace gfn
