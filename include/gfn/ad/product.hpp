// SPDX-License-Identifier: MIT
#pragma once

#include <gfn/core/eigen.hpp>

#include <algorithm>
#include <cassert>
#include <functional>
#include <type_traits>
#include <utility>

// The dense products of the network layers. They stand beside Eigen's general product for two reasons:
//
// * Few rows. A rollout asks for 4 to 30 rows at a time, and Eigen packs the whole weight matrix in each call. Here the
//   weights are read where they lie, and packed only when enough rows share the cost.
// * The same bits for the same state. Each entry of a result is one chain of multiply-adds over the inner index in
//   ascending order, whatever the number of rows, the place of the row among them, or the addresses: a state evaluated
//   alone equals the same state in a block of 1024. (With Eigen's product all three change the rounding.)
//
// There is one kernel, written on Eigen's packets: they give fused multiply-adds wherever the target has them (g++
// -std=c++20 does not contract a * b + c), and a scalar without packets, such as a dual number, is a packet of one.
// Nothing is allocated once the scratch memory of the thread has grown to the largest product that it has seen.

namespace gfn {

/// A row-major matrix that somebody else owns, or some of its columns: `stride` entries lead from one row to the next.
/// Row-major Eigen matrices, maps and blocks convert to it.
template <class T>
struct MatrixView {
  T* data = nullptr;
  Eigen::Index rows = 0, cols = 0, stride = 0;

  MatrixView() = default;
  MatrixView(T* first, Eigen::Index r, Eigen::Index c) : MatrixView(first, r, c, c) {}
  MatrixView(T* first, Eigen::Index r, Eigen::Index c, Eigen::Index s) : data(first), rows(r), cols(c), stride(s) {}

  template <class M>
    requires std::is_convertible_v<decltype(std::declval<M&>().data()), T*> && requires(M& m) { m.outerStride(); }
  MatrixView(M&& m) : MatrixView(m.data(), m.rows(), m.cols(), m.outerStride()) {
    static_assert(std::remove_cvref_t<M>::IsRowMajor, "MatrixView: needs a row-major matrix");
    assert(m.innerStride() == 1 && "MatrixView: the entries of a row must be contiguous");
  }

  operator MatrixView<const T>() const { return {data, rows, cols, stride}; }
  MatrixView middle_rows(Eigen::Index first, Eigen::Index count) const {
    return {data + first * stride, count, cols, stride};
  }
};

namespace detail {

template <class T>
using Packet = typename Eigen::internal::packet_traits<T>::type;

template <class T>
inline constexpr int packet_size = Eigen::internal::packet_traits<T>::size;

/// The sums that a kernel keeps in registers: 6 rows of 4 packets where there are 32 registers, else of 2; and 8 rows
/// of the narrower panels, for enough independent chains to hide the latency of a multiply-add.
inline constexpr int tile_packets = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 4 : 2;
template <int packets>
inline constexpr int tile_rows = packets == tile_packets ? 6 : 8;

/// Bytes of a packed panel: it stays in the first-level cache, beside the rows that it is multiplied with.
inline constexpr Eigen::Index panel_bytes = 32768;

/// Packing pays from this many rows on (measured for 256 x 256; wider matrices would gain a little earlier).
inline constexpr Eigen::Index rows_to_pack = 256;

/// Bytes of the rows that are taken at a time: they stay in the second-level cache, beside the weights, while the
/// panels go over them.
inline constexpr Eigen::Index block_bytes = 262144;

/// Memory of this thread that grows and is kept, one piece for each purpose.
enum class Scratch { panel, edge, weights, gradient };

template <Scratch purpose, class T>
T* scratch(Eigen::Index size) {
  thread_local Eigen::Array<T, Eigen::Dynamic, 1> memory;
  if (memory.size() < size) memory.resize(size);
  return memory.data();
}

/// The entries of a matrix from some place on, for the loops that know its size. A row repeats with stride 0.
template <class T>
struct Entries {
  T* data;
  Eigen::Index stride;

  Entries at(Eigen::Index i, Eigen::Index j) const { return {data + i * stride + j, stride}; }
};

/// The left factor of a product, read as it lies or transposed.
template <class T, bool transposed>
struct LeftFactor {
  const T* data;
  Eigen::Index stride;

  Eigen::Index offset(Eigen::Index i, Eigen::Index p) const { return transposed ? p * stride + i : i * stride + p; }
  LeftFactor at(Eigen::Index i, Eigen::Index p) const { return {data + offset(i, p), stride}; }
};

/// The kernel: y(i, j) = start(i, j) + sum over p of left(i, p) right(p, j) for a tile of `rows` rows and `packets`
/// packets. Its sums stay in registers only when the short loops are unrolled, which g++ -O2 needs to be told.
template <int rows, int packets, class T, bool transposed>
void product_tile(Entries<T> y, Entries<const T> start, LeftFactor<T, transposed> left, Entries<const T> right,
                  Eigen::Index inner) {
  using namespace Eigen::internal;
  constexpr int size = packet_size<T>;
  Packet<T> sum[rows][packets];
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < packets; ++j) sum[i][j] = ploadu<Packet<T>>(start.data + i * start.stride + j * size);
  for (Eigen::Index p = 0; p < inner; ++p) {
    Packet<T> row[packets];
#pragma GCC unroll 8
    for (int j = 0; j < packets; ++j) row[j] = ploadu<Packet<T>>(right.data + p * right.stride + j * size);
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) {
      const Packet<T> factor = pset1<Packet<T>>(left.data[left.offset(i, p)]);
#pragma GCC unroll 8
      for (int j = 0; j < packets; ++j) sum[i][j] = pmadd(factor, row[j], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < packets; ++j) pstoreu(y.data + i * y.stride + j * size, sum[i][j]);
}

/// Picks the kernel for `height` <= `rows` rows.
template <int packets, int rows = tile_rows<packets>, class T, bool transposed>
void product_rows(Eigen::Index height, Entries<T> y, Entries<const T> start, LeftFactor<T, transposed> left,
                  Entries<const T> right, Eigen::Index inner) {
  if (height == rows)
    product_tile<rows, packets>(y, start, left, right, inner);
  else if constexpr (rows > 1)
    product_rows<packets, rows - 1>(height, y, start, left, right, inner);
}

/// Copies `cols` columns into rows of `width` entries, filled up with zeros.
template <class T>
Entries<const T> copy_padded(Entries<const T> from, Eigen::Index rows, Eigen::Index cols, T* to, Eigen::Index width) {
  if (cols < width) std::fill_n(to, rows * width, T(0));
  for (Eigen::Index i = 0; i < rows; ++i)
    for (Eigen::Index j = 0; j < cols; ++j) to[i * width + j] = from.data[i * from.stride + j];
  return {to, width};
}

/// One panel of columns, as wide as the tile, of which `right` holds only the first `cols`. The blocks of the inner
/// index are the outer loop, so that all rows use a packed block; the rows are shared out evenly to the tiles.
template <int packets, class T, bool transposed>
void product_panel(Entries<T> y, Eigen::Index rows, Eigen::Index cols, Entries<const T> start,
                   LeftFactor<T, transposed> left, Entries<const T> right, Eigen::Index inner) {
  constexpr Eigen::Index width = packets * packet_size<T>, most = tile_rows<packets>;
  constexpr Eigen::Index block = panel_bytes / (width * Eigen::Index(sizeof(T)));
  const bool pack = cols < width || (rows >= rows_to_pack && right.stride > width);
  for (Eigen::Index p = 0; p == 0 || p < inner; p += block) {
    const Eigen::Index length = std::min(block, inner - p);
    Entries<const T> factor = right.at(p, 0);
    if (pack) factor = copy_padded(factor, length, cols, scratch<Scratch::panel, T>(block * width), width);
    Eigen::Index tiles = (rows + most - 1) / most;
    for (Eigen::Index i = 0, height = 0; i < rows; i += height, --tiles) {
      height = (rows - i + tiles - 1) / tiles;
      product_rows<packets>(height, y.at(i, 0), start.at(i, 0), left.at(i, p), factor, length);
    }
    start = {y.data, y.stride};
  }
}

/// The last columns, which do not fill a packet: the same kernels on a padded copy of the result. Where the rows of
/// `right` lie without gaps (`dense`), a packet may run on into the next row, and only the last rows need padding too.
template <class T, bool transposed>
void product_edge(Entries<T> y, Eigen::Index rows, Eigen::Index cols, Entries<const T> start,
                  LeftFactor<T, transposed> left, Entries<const T> right, Eigen::Index inner, bool dense) {
  constexpr Eigen::Index width = packet_size<T>;
  T* const padded = scratch<Scratch::edge, T>(rows * width);
  start = copy_padded(start, rows, cols, padded, width);
  const Eigen::Index behind = dense ? (width - cols + right.stride - 1) / right.stride : inner;
  const Eigen::Index direct = std::max<Eigen::Index>(inner - behind, 0);
  product_panel<1>(Entries<T>{padded, width}, rows, width, start, left, right, direct);
  product_panel<1>(Entries<T>{padded, width}, rows, cols, start, left.at(0, direct), right.at(direct, 0),
                   inner - direct);
  for (Eigen::Index i = 0; i < rows; ++i)
    for (Eigen::Index j = 0; j < cols; ++j) y.data[i * y.stride + j] = padded[i * width + j];
}

/// y = start + left right, from zero where `start` has no data. Calls finished(column, cols) after each panel.
template <class T, bool transposed, class Finished>
void product_panels(MatrixView<T> y, Entries<const T> start, LeftFactor<T, transposed> left, Entries<const T> right,
                    Eigen::Index inner, const Finished& finished) {
  const T zeros[tile_packets * packet_size<T>] = {};
  Eigen::Index column = 0;
  const auto target = [&] { return Entries<T>{y.data + column, y.stride}; };
  const auto origin = [&] { return start.data ? start.at(0, column) : Entries<const T>{zeros, 0}; };
  const auto panels = [&](auto packets) {
    for (const Eigen::Index width = packets * packet_size<T>; column + width <= y.cols; column += width) {
      product_panel<packets>(target(), y.rows, width, origin(), left, right.at(0, column), inner);
      finished(column, width);
    }
  };
  if (y.rows == 0) return;
  panels(std::integral_constant<int, tile_packets>{});
  if constexpr (tile_packets > 2) panels(std::integral_constant<int, 2>{});
  panels(std::integral_constant<int, 1>{});
  if (column == y.cols) return;
  product_edge(target(), y.rows, y.cols - column, origin(), left, right.at(0, column), inner, right.stride == y.cols);
  finished(column, y.cols - column);
}

GFN_VECTOR_CODE_BEGIN
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // of the packet, as the argument of PacketBlock
/// The transpose of a matrix, in scratch memory: valid until the next call in this thread for the same purpose.
template <Scratch purpose, class T>
MatrixView<T> transposed_copy(MatrixView<const T> w) {
  using namespace Eigen::internal;
  constexpr int size = packet_size<T>;
  T* const out = scratch<purpose, T>(w.rows * w.cols);
  const Eigen::Index rows = w.rows - w.rows % size, cols = w.cols - w.cols % size;
  for (Eigen::Index j = 0; j < cols; j += size)
    for (Eigen::Index i = 0; i < rows; i += size) {
      PacketBlock<Packet<T>, size> block;
      for (int b = 0; b < size; ++b) block.packet[b] = ploadu<Packet<T>>(w.data + (i + b) * w.stride + j);
      ptranspose(block);
      for (int b = 0; b < size; ++b) pstoreu(out + (j + b) * w.rows + i, block.packet[b]);
    }
  for (Eigen::Index j = 0; j < w.cols; ++j)
    for (Eigen::Index i = j < cols ? rows : 0; i < w.rows; ++i) out[j * w.rows + i] = w.data[i * w.stride + j];
  return {out, w.cols, w.rows};
}
#pragma GCC diagnostic pop
GFN_VECTOR_CODE_END

inline constexpr auto nothing = [](Eigen::Index, Eigen::Index) {};

/// Calls visit(first, count) for blocks of rows that have so many entries each in both factors together.
template <class T, class Visit>
void for_row_blocks(Eigen::Index rows, Eigen::Index entries, const Visit& visit) {
  const Eigen::Index row_bytes = std::max<Eigen::Index>(entries, 1) * Eigen::Index(sizeof(T));
  const Eigen::Index most = std::max<Eigen::Index>(block_bytes / row_bytes, 64);
  Eigen::Index blocks = (rows + most - 1) / most;
  for (Eigen::Index first = 0, count = 0; first < rows; first += count, --blocks) {
    count = (rows - first + blocks - 1) / blocks;
    visit(first, count);
  }
}

/// y += x w for one block of rows, and y += x' w.
template <class T, bool transposed>
void add_block_product(MatrixView<T> y, MatrixView<const T> x, MatrixView<const T> w) {
  product_panels<T, transposed>(y, {y.data, y.stride}, {x.data, x.stride}, {w.data, w.stride}, w.rows, nothing);
}

}  // namespace detail

/// y = activation(x w + bias), for y: m x n, x: m x k, w: k x n; `bias` points to n entries, or nowhere for none. The
/// activation maps a scalar to a scalar, and is applied to a panel of columns while it is in the cache. All sizes may
/// be zero; y must not overlap with x or w (so for all products here). Call it as product<T>(...): Eigen's types
/// convert.
template <class T, class Activation = std::identity>
void product(MatrixView<T> y, MatrixView<const T> x, MatrixView<const T> w, const T* bias = nullptr,
             Activation activation = {}) {
  assert(y.rows == x.rows && x.cols == w.rows && y.cols == w.cols);
  detail::for_row_blocks<T>(y.rows, x.cols + y.cols, [&](Eigen::Index first, Eigen::Index count) {
    const MatrixView<T> block = y.middle_rows(first, count);
    const auto activate = [&](Eigen::Index column, Eigen::Index cols) {
      if constexpr (!std::is_same_v<Activation, std::identity>)
        for (Eigen::Index i = 0; i < count; ++i) {
          T* const row = block.data + i * block.stride + column;
          for (Eigen::Index j = 0; j < cols; ++j) row[j] = activation(row[j]);
        }
    };
    detail::product_panels<T, false>(block, {bias, 0}, {x.data + first * x.stride, x.stride}, {w.data, w.stride},
                                     x.cols, activate);
  });
}

/// y += x w, for y: m x n, x: m x k, w: k x n.
template <class T>
void add_product(MatrixView<T> y, MatrixView<const T> x, MatrixView<const T> w) {
  assert(y.rows == x.rows && x.cols == w.rows && y.cols == w.cols);
  detail::for_row_blocks<T>(y.rows, x.cols + y.cols, [&](Eigen::Index first, Eigen::Index count) {
    detail::add_block_product<T, false>(y.middle_rows(first, count), x.middle_rows(first, count), w);
  });
}

/// Both gradients of a product x w, from that of its result: gw += x' gy and gx += gy w', for gw: k x n, gx: m x k,
/// gy: m x n. Either is left out where it has no data. Goes through blocks of rows while they are in the cache, and
/// calls prepare(first, count) before it reads these rows of gy.
///
/// The sum over the rows continues from gw, so that a block may also be added in parts, in order, with the same bits.
/// For gx, w is transposed in each call, which costs as much as about fifteen rows; so give it all rows at once.
template <class T, class Prepare>
void add_product_gradients(MatrixView<T> gx, MatrixView<T> gw, MatrixView<const T> x, MatrixView<const T> gy,
                           MatrixView<const T> w, const Prepare& prepare) {
  using detail::Scratch;
  const bool narrow = 2 * gw.cols <= detail::packet_size<T>;  // then gw' += gy' x fills the packets, and gw does not
  const MatrixView<T> turned_gw = gw.data && narrow ? detail::transposed_copy<Scratch::gradient, T>(gw) : gw;
  const MatrixView<T> turned_w = gx.data ? detail::transposed_copy<Scratch::weights, T>(w) : MatrixView<T>{};
  detail::for_row_blocks<T>(gy.rows, x.cols + gy.cols, [&](Eigen::Index first, Eigen::Index count) {
    prepare(first, count);
    const MatrixView<const T> g = gy.middle_rows(first, count);
    if (gw.data && narrow) detail::add_block_product<T, true>(turned_gw, g, x.middle_rows(first, count));
    if (gw.data && !narrow) detail::add_block_product<T, true>(gw, x.middle_rows(first, count), g);
    if (gx.data) detail::add_block_product<T, false>(gx.middle_rows(first, count), g, turned_w);
  });
  if (gw.data && narrow)
    for (Eigen::Index i = 0; i < gw.rows; ++i)
      for (Eigen::Index j = 0; j < gw.cols; ++j) gw.data[i * gw.stride + j] = turned_gw.data[j * turned_gw.stride + i];
}

/// gw += x' gy, for gw: k x n, x: m x k, gy: m x n; see add_product_gradients.
template <class T>
void add_transposed_product(MatrixView<T> gw, MatrixView<const T> x, MatrixView<const T> gy) {
  assert(gw.rows == x.cols && x.rows == gy.rows && gw.cols == gy.cols);
  add_product_gradients<T>({}, gw, x, gy, {}, detail::nothing);
}

/// gx += gy w', for gx: m x k, gy: m x n, w: k x n; see add_product_gradients.
template <class T>
void add_product_transposed(MatrixView<T> gx, MatrixView<const T> gy, MatrixView<const T> w) {
  assert(gx.rows == gy.rows && gy.cols == w.cols && gx.cols == w.rows);
  add_product<T>(gx, gy, detail::transposed_copy<detail::Scratch::weights, T>(w));
}

/// gx = gy w', otherwise as add_product_transposed.
template <class T>
void product_transposed(MatrixView<T> gx, MatrixView<const T> gy, MatrixView<const T> w) {
  assert(gx.rows == gy.rows && gy.cols == w.cols && gx.cols == w.rows);
  product<T>(gx, gy, detail::transposed_copy<detail::Scratch::weights, T>(w));
}

}  // namespace gfn
