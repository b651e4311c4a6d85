#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# programs.sh PROGRAM NAME: a short run of the example NAME, its pictures, and input that it must refuse.
source "$(dirname "${BASH_SOURCE[0]}")/../run_program.sh"
name=$2

small=(--batch 8 --hidden 16 --critic-hidden 16)
tiny=("${small[@]}" --iterations 12 --evaluate-every 5)

has_line() { grep -qE -- "$1" out; }
has() { has_line "$1" || fail "no line '$1'"; }
is_picture() { [[ $(head -c 4 "$1" | tail -c 3) == PNG ]] || fail "no picture $1"; }
# Runs with a picture, which gnuplot must draw without a word.
draws() {
  command -v gnuplot >/dev/null || return 0
  run "$@" --plot picture.png
  ! grep -q 'gnuplot\|warning\|line [0-9]' err || fail "gnuplot speaks: $*"
  is_picture picture.png
  rm picture.png
}
# The numbers of a line, to four digits, but for the time.
rounded() { timeless /dev/stdin | grep -oE '[-0-9.e]+' | grep '[0-9]' | LC_ALL=C xargs printf '%.4g\n'; }
# A run that is resumed gives the log of one without a stop.
resumes() {
  run "$@" "${small[@]}" --evaluate-every 5 --iterations 12 --log parts --checkpoint state --quiet
  run "$@" "${small[@]}" --evaluate-every 5 --iterations 20 --log parts --checkpoint state --resume --quiet
  run "$@" "${small[@]}" --evaluate-every 5 --iterations 20 --log whole --quiet
  cmp <(timeless whole) <(timeless parts) || fail "the logs differ: $*"
}

# A compressed table is read, or, without zlib, refused: then this fails. The name does not tell.
run_compressed() {
  "$program" "$@" >out 2>err && return
  [[ $(<err) == *"is compressed: read it by gfn::read_gzip_file of gfn/data/gzip.hpp, or with a program that"* ]] ||
    fail "the compressed table is not read: $*"
  return 1
}

bayesian_network() {
  refuses_before_training "line 1: there is no column 'Q'" --columns A,Q
  refuses_before_training "cannot read 'none'" --data none
  refuses_before_training '--samples is 0' --samples 0
  refuses_before_training '--guide-threshold is nan' --guide-threshold nan
  refuses_before_training 'were asked for' --rows 101
  for method in tb-u rl-u rl-b rl-g; do
    run "${tiny[@]}" --columns A,B,C --rows 50 --method $method
    has '3 variables, 50 samples: 25 graphs, log Z\* = '
    has 'expected number of edges +[0-9.]+ +[0-9.]+$'
    has 'the same, exact'
  done
  draws "${tiny[@]}" --columns A,B
  run "${tiny[@]}"
  has '5 variables, 100 samples: 29281 graphs, log Z\* = 86.3850'
  has 'expected number of edges +[0-9.]+ +8.9017'
  {
    echo a$'\t'b$'\t'c$'\t'd$'\t'e$'\t'f
    for i in {1..12}; do
      echo $((i % 2))$'\t'$((i % 3))$'\t'$((i % 4))$'\t'$((i % 5))$'\t'$((i * i % 7))$'\t'$((i * i % 11))
    done
  } >six.tsv
  run --data six.tsv "${tiny[@]}" --samples 50
  has '6 variables, 12 samples; no exact evaluation, 50 sampled graphs instead'
  draws --data six.tsv "${tiny[@]}" --samples 50
  # as a spreadsheet or an editor leaves it
  {
    printf '\xEF\xBB\xBF"a"\tb\r\n'
    for i in {1..12}; do printf '"+%d"\t%d\r\n' $((i % 2)) $((i % 3)); done
    printf '\r\n'
  } >two.tsv
  printf 'parent\tchild\n"a"\tb\n\n' >edges.tsv
  run --data two.tsv --edges edges.tsv "${tiny[@]}"
  has '2 variables, 12 samples: 3 graphs'
  has 'expected SHD to the known graph'
  if command -v gzip >/dev/null; then
    mv out plain
    gzip -c two.tsv >two
    gzip -c edges.tsv >edges
    if run_compressed --data two --edges edges "${tiny[@]}"; then
      cmp <(grep expected plain) <(grep expected out) || fail 'compressed data are other data'
    else
      ! run_compressed --data two.tsv --edges edges "${tiny[@]}" || fail 'compressed edges are read without zlib'
    fi
  fi
  resumes --columns A,B
}

# The states' numbers give what their enumeration gives, in the last line of the log alone, and with any resumption.
evaluates_in_the_end() {
  local environment
  for environment in slot append prepend-append; do
    run "${tiny[@]}" --environment $environment --log by_graph
    mv out out_by_graph
    run "${tiny[@]}" --environment $environment --log by_number --max-states 100
    has 'exact evaluation of so many states is left to the end$'
    has '^the exact evaluation took [0-9.]+ s$'
    cmp <(tail -1 by_graph | rounded) <(tail -1 by_number | rounded) ||
      fail "$environment: $(tail -1 by_graph by_number)"
    local distances=' variation\|Shannon\|mean reward over'
    cmp <(grep "$distances" out_by_graph) <(grep "$distances" out) ||
      fail "$environment: by numbers it is another distribution"
    [[ $(grep -c '"log_z_error": [0-9.e-]*, "total_variation": null' by_number) == 2 ]] || fail "$(cat by_number)"
    [[ $(grep -c . by_number) == 3 ]] || fail "$(cat by_number)"
  done
  draws "${tiny[@]}" --max-states 100
  resumes --environment append --max-states 100
  # the iterations 5, 10, 15, 20, and 20 again with the exact evaluation
  [[ $(grep -c '"total_variation": null' whole) == 4 && $(grep -c . whole) == 5 ]] || fail "$(cat whole)"
  [[ $(tail -1 whole) == '{"iteration": 20, '*'"total_variation": 0.'* ]] || fail "$(tail -1 whole)"
  run --environment append --max-states 100 "${small[@]}" --evaluate-every 5 --iterations 10 --log parts \
    --checkpoint state --quiet
  run --environment append --max-states 100 "${small[@]}" --evaluate-every 5 --iterations 20 --log parts \
    --checkpoint state --resume --quiet
  cmp <(timeless whole) <(timeless parts) || fail 'the logs differ after a stop at an iteration that is due'
}

sequence_design() {
  refuses_before_training "unknown task 'foo'" --task foo
  refuses_before_training "unknown environment 'foo'" --environment foo
  refuses_before_training '--task needs --data' --task six6
  refuses_before_training '--data needs a --task' --data table
  refuses_before_training "cannot read 'none'" --data none --task six6
  refuses_before_training 'its guide is for --environment slot alone' --method rl-g --environment append
  refuses_before_training 'exponent is -1' --exponent -1
  refuses_before_training '--max-states is -1' --max-states -1
  for environment in slot append prepend-append; do
    for method in tb-u rl-b; do
      run "${tiny[@]}" --environment $environment --method $method
      has '^4096 sequences, [0-9]+ states, log Z\* = 9.0892$'
      has 'modes found +[0-9]+ of 20$'
      has '^best: [ACGT]{6} [0-9.]+'
    done
  done
  run "${tiny[@]}" --method rl-g
  draws "${tiny[@]}"
  draws "${small[@]}" --iterations 12 --evaluate-every 0
  run "${small[@]}" --iterations 12 --evaluate-every 0
  ! has_line 'total variation' || fail '--evaluate-every 0 evaluates'
  resumes --environment append
  grep -q '"modes_found": [0-9]' whole || fail 'no modes in the log'
  evaluates_in_the_end
  {
    echo seq$'\t'gap
    for a in {0..9} a; do for b in {0..9} a; do for c in {0..9} a; do for d in {0..9} a; do for e in {0..9} a; do
      echo "$a$b$c$d$e"$'\t'1
    done; done; done; done; done
  } >flat.tsv
  run "${tiny[@]}" --environment append --task qm9 --data flat.tsv
  has '^161051 sequences, 177156 states, log Z\* = 14.2921$'
  if command -v gzip >/dev/null; then
    gzip -c flat.tsv >flat
    if run_compressed "${tiny[@]}" --environment append --task qm9 --data flat; then
      has '^161051 sequences, 177156 states, log Z\* = 14.2921$'
      head -c 1000 flat >cut.gz
      refuses_before_training 'the compressed data have been cut after line' --task qm9 --data cut.gz
    fi
  fi
  sed -i '100s/1$/x/' flat.tsv
  refuses_before_training "line 100: column 'gap' holds 'x'" --task qm9 --data flat.tsv
}

# What all programs share that compare a few trainings. Takes the options of a tiny run.
compares() {
  local number='-?[0-9][-+.e0-9]*' pattern='^\{"iteration": [0-9]+' field
  refuses_before_training '--batch is -1' --batch -1
  refuses_before_training '--iterations is 0' --iterations 0
  refuses_before_training '--seed is -1' --seed -1
  refuses_before_training '--evaluate-every is 0' --evaluate-every 0
  refuses_before_training "--log: cannot write '/nowhere/x'" --log /nowhere/x
  refuses_before_training "--plot: cannot write '/nowhere/x'" --plot /nowhere/x
  refuses_before_training "--log and --plot name the file 'x'" --log x --plot ./x
  refuses_devices --log "$@" --iterations 3 --quiet
  refuses_devices --plot "$@" --iterations 3 --quiet
  refuses_before_training 'not expected: --foo' --foo
  refuses_before_training 'not expected: foo' foo
  refuses_before_training '--iterations' --iterations x
  run "$@" --iterations 12 --evaluate-every 5 --log first --quiet
  [[ ! -s out && ! -s err ]] || fail '--quiet is not quiet'
  for field in trajectories loss log_z log_z_error total_variation jensen_shannon mean_reward_accuracy \
    mean_reward_ratio distinct_states mean_length; do
    pattern+=", \"$field\": $number"
  done
  [[ $(grep -cvE "$pattern, \"series\": \"[^\"]+\", \"train_seconds\": $number}\$" first) == 0 ]] || fail "$(cat first)"
  run "$@" --iterations 12 --evaluate-every 5 --log second
  [[ -s out && $(grep -c '^12/12' err) -ge 2 ]] || fail 'no progress'
  cmp <(timeless first) <(timeless second) || fail 'the logs of two runs differ'
  run "$@" --iterations 12 --evaluate-every 5 --log third --seed 7 --quiet
  ! cmp -s <(timeless first) <(timeless third) || fail 'another seed gives the same log'
  run --help
  for field in $(grep -o '"[a-z_]*": ' first | tr -d '": ' | sort -u); do has "^ +$field "; done
  draws "$@" --iterations 50
}

custom_environment() {
  compares
  [[ $(grep -c '"series": "trajectory balance"' first) == 3 && $(grep -c '"series": "policy gradient"' first) == 3 ]] ||
    fail "$(cat first)"
  run
  has '^2517 states, log Z\* = 10.9682$'
  has '^trajectory balance +total variation from the target 0\.0'
  has '^policy gradient +total variation from the target 0\.0'
  local root
  root=$(dirname "$0")/../..
  cmp <(sed -n '/^struct Subsets/,/^};/p' "$root/README.md") \
    <(sed -n '/^struct Subsets/,/^};/p' "$root/examples/custom_environment.cpp") || fail "README shows another struct"
  (($(wc -l <"$root/examples/custom_environment.cpp") < 80)) || fail 'it is no short program any more'
}

custom_objective() {
  refuses_before_training '--batch is 1' --batch 1
  refuses_before_training '--side is 1' --side 1
  refuses_before_training '--seeds is 0' --seeds 0
  compares --side 4 --seeds 2
  [[ $(grep -c '"series": "log variance, seed 2"' first) == 3 && $(grep -c . first) == 12 ]] || fail "$(cat first)"
  run --side 6 --iterations 300 --seeds 1
  has '^trajectory balance, seed 1 +total variation from the target 0\.[01]'
  has '^log variance, seed 1 +total variation from the target 0\.[01]'
}

custom_operation() {
  refuses_before_training '--side is 257' --side 257
  compares --side 4
  [[ $(grep -c '"series": "ELU, squares"' first) == 3 && $(grep -c . first) == 9 ]] || fail "$(cat first)"
  run --side 6 --iterations 300
  has 'pass the check$'
  has '^a wrong slope does not: check_operation: jvp'
  has '^ELU, squares +total variation from the target 0\.[01]'
  has '^ReLU, log cosh +total variation from the target 0\.[01]'
}

"$name"
