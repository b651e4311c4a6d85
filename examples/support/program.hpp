// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include <CLI/CLI.hpp>

#include <gfn/core/printable.hpp>

namespace examples {

/// Reports an error as one line, `name: message`, in which everything is printable: a message that is not the library's
/// own may hold the raw bytes of an argument.
inline int report_error(const std::string& name, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::fprintf(stderr, "%s: %s\n", name.c_str(), gfn::printable(message).c_str());
  return EXIT_FAILURE;
}

/// Parses the command line, then runs the body. Whatever goes wrong becomes one line on the error stream, and an exit
/// status that is not 0.
template <class Body>
int run_program(CLI::App& app, int argc, char** argv, Body&& body) {
  try {
    app.parse(argc, argv);
    body();
    return EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    return report_error(app.get_name(), std::string(error.what()) + " (see --help)");
  } catch (const std::bad_alloc&) {
    return report_error(app.get_name(), "there is not enough memory for this");
  } catch (const std::exception& error) {
    return report_error(app.get_name(), error.what());
  }
}

}  // namespace examples
