#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# programs.sh PROGRAM NAME: short runs of the benchmark NAME, and input that it must refuse.
source "$(dirname "${BASH_SOURCE[0]}")/../run_program.sh"
name=$2

training_step() {
  local tiny=(--iterations 2 --repeats 1 --networks 1x8 --critic 1x8)
  run "${tiny[@]}" --scenario 8x8 --json results
  [[ $(grep -c '^8x8 ' out) == 18 ]] || fail 'fourteen methods and four ratios'
  [[ $(grep -c '"method"' results) == 14 && $(grep -c '"ratio"' results) == 4 ]] || fail "$(cat results)"
  run "${tiny[@]}" --scenario 8x8 --method tb-u,rl-b --bits bits
  cp bits first
  run "${tiny[@]}" --scenario 8x8 --method tb-u,rl-b --bits bits
  [[ $(grep -cE '^8x8 1x8 (tb-u|rl-b) [12] ' bits) == 4 ]] || fail "$(cat bits)"
  cmp bits first || fail 'the same seed gives other bits'
  run "${tiny[@]}" --scenario 8x8 --method tb-u,rl-b --bits bits --seed 2
  ! cmp -s bits first || fail 'another seed gives the same bits'
  run "${tiny[@]}" --scenario qm9,words,bits,er5,er20
  for scenario in qm9 words bits er5 er20; do
    grep -qE "^$scenario +1x8 +rl-u" out || fail "nothing of $scenario"
  done
  grep -qE '^qm9 .* rl-g / rl-b: rate [0-9.]+ \(at least' out || fail 'no ratio of the replay guide'
  refuses '--scenario' --scenario 9x9
  refuses 'is not LAYERSxWIDTH' --networks 256
}

ferromagnet() {
  run --methods tb,db,'subtb 0.5' --iterations 4 --evaluate-every 2 --seeds 2
  grep -q '^log Z\* = 27.82' out || fail 'the exact log Z'
  [[ $(grep -cE '^(tb|db|subtb 0.5)( +[0-9.]+ \+-[0-9.]+){3}$' out) == 3 ]] || fail 'three methods, at 0, 2 and 4 iterations'
  refuses "unknown method 'foo'" --methods foo
}

paper() {
  local tiny=(--environment synthetic --methods "tb-u,rl-u --lambda 0.5" --iterations 100 --batch 4 --hidden 8
    --critic-hidden 8 --seeds 2 --jobs 2)
  run "${tiny[@]}"
  [[ $(grep -c '^\[' err) == 4 ]] || fail 'four runs'
  grep -qE '^rl-u --lambda 0.5 +100 +2 +0\.[0-9]+' out || fail 'no line of a method with a setting of its own'
  cp out first
  run "${tiny[@]}"
  [[ ! -s err ]] || fail 'it trains again'
  cmp out first || fail 'another table'
  [[ -z $(find . -name '*.part' -o -name '*.lock') ]] || fail "it left files: $(find results)"
  run "${tiny[@]}" --metric total_variation,modes_found,accuracy_error --below 0.5
  [[ $(grep -c '^tb-u' out) == 3 ]] || fail 'three tables'
  if command -v gnuplot >/dev/null; then
    run "${tiny[@]}" --plot curves.png --x iteration,train_seconds
    [[ ! -s err && $(head -c 4 curves.png | tail -c 3) == PNG ]] || fail 'no picture'
  fi
  refuses '--foo' --methods 'tb-u --foo 1'
  refuses "unknown method 'foo'" --methods foo
  refuses '--at is 95' --at 95
  refuses '--at is 1000' "${tiny[@]}" --at 1000
  refuses "unknown task 'foo'" --environment foo
  refuses_devices --plot "${tiny[@]}"
  refuses "--results: 'device' is no folder" "${tiny[@]}" --results device
  mkdir -p other/synthetic
  cp -r results/synthetic/* other/synthetic
  local log
  log=$(find other -name seed1.jsonl | head -1)
  rm "$log"
  mkfifo "$log"
  refuses "it is a pipe, not a regular file" "${tiny[@]}" --results other
  # a run that is damaged is told, not averaged
  echo '{"iteration": 10}' >"$(find results -name seed1.jsonl | head -1)"
  refuses "has no" "${tiny[@]}"
}

"$name"
