# SPDX-License-Identifier: MIT
# Installs from `build`, then moves the tree to `prefix`: the package must not remember where it was.
file(REMOVE_RECURSE ${prefix} ${prefix}_before)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${build} --prefix ${prefix}_before COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${prefix}_before ${prefix})
