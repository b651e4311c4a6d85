// SPDX-License-Identifier: MIT
#include <gfn/core/error.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

#include "catch.hpp"
#include "messages.hpp"

namespace {

template <class... Parts>
std::string failure(const Parts&... parts) {
  return message_of<gfn::Error>([&] { gfn::fail(parts...); });
}

}  // namespace

TEST_CASE("printable escapes control characters, and what is not UTF-8") {
  using namespace std::string_view_literals;
  CHECK(gfn::printable("") == "");
  CHECK(gfn::printable("a ~\\x00") == "a ~\\x00");
  CHECK(gfn::printable("\0\t\r\n\x1B[2J\x7F"sv) == "\\x00\\x09\\x0D\\x0A\\x1B[2J\\x7F");
  CHECK(gfn::printable("a\r\nb", gfn::LineBreaks::keep) == "a\\x0D\nb");
  // two, three and four bytes, the first and the last of each
  for (const std::string_view text : {"\xC2\xA0", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                                      "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "Größe ≤ 3, 木"})
    CHECK(gfn::printable(text) == text);
  CHECK(gfn::printable("\xC2\x80\xC2\x9B\xC2\x9F") == "\\xC2\\x80\\xC2\\x9B\\xC2\\x9F");  // control characters too
  CHECK(gfn::printable("\x80\xBF\xFE\xFF") == "\\x80\\xBF\\xFE\\xFF");
  CHECK(gfn::printable("\xC0\x80 \xC1\xBF \xE0\x9F\xBF \xF0\x8F\xBF\xBF") ==
        "\\xC0\\x80 \\xC1\\xBF \\xE0\\x9F\\xBF \\xF0\\x8F\\xBF\\xBF");  // longer than need be
  CHECK(gfn::printable("\xED\xA0\x80 \xF4\x90\x80\x80 \xF5\x80") == "\\xED\\xA0\\x80 \\xF4\\x90\\x80\\x80 \\xF5\\x80");
  CHECK(gfn::printable("\xC3") == "\\xC3");  // cut
  CHECK(gfn::printable("\xE6\x9C"
                       "a\xF0\x9F\x98") == "\\xE6\\x9Ca\\xF0\\x9F\\x98");
  CHECK(gfn::printable("\xFF"
                       "é") == "\\xFFé");
}

TEST_CASE("Messages of errors hold no raw bytes") {
  const std::string name =
      "a\x1B[31m\n\xFF"
      "é";
  const std::string shown = "'a\\x1B[31m\\x0A\\xFFé'";
  CHECK(failure("'", name, "'") == shown);
  CHECK(failure("'", std::string_view(name), "'") == shown);
  CHECK(message_of<std::invalid_argument>([&] { gfn::require(false, "'", name, "'"); }) == shown);
  CHECK(failure("one line\nanother ", 0.1, ' ', 7) == "one line\nanother 0.1 7");  // these are the library's
  CHECK(failure("letter ", '\n', '\xC3') == "letter \\x0A\\xC3");
  CHECK(failure(std::string(1, '\0'), "after") == "\\x00after");
  // a message that goes into another one stays as it is
  CHECK(failure("outer: ", failure("'", name, "'").c_str()) == "outer: " + shown);
  CHECK(failure("outer: ", failure("'", name, "'")) == "outer: " + shown);
}
