# SPDX-License-Identifier: MIT
# Compiles and runs the consumer with no more than pkg-config says.
set(ENV{PKG_CONFIG_PATH} ${prefix}/share/pkgconfig)
execute_process(
  COMMAND ${pkg_config} --cflags gfn
  OUTPUT_VARIABLE flags
  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
execute_process(COMMAND ${compiler} -std=c++20 ${flags} ${CMAKE_CURRENT_LIST_DIR}/main.cpp -o ${program}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${program} COMMAND_ERROR_IS_FATAL ANY)
