# SPDX-License-Identifier: MIT
# Compiles `source` as a user does, with README's flags for speed and all warnings: there must be none, not even in
# Eigen.
separate_arguments(flags)
execute_process(
  COMMAND ${compiler} ${flags} ${includes} -std=c++20 -O3 -march=native -DNDEBUG -Wall -Wextra -Wpedantic -Wshadow
          -Wconversion -Werror -S ${source} -o ${assembly}
  COMMAND_ERROR_IS_FATAL ANY)
