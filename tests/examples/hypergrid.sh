#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hypergrid.sh PROGRAM CASE: runs the example hypergrid as a user does.
source "$(dirname "${BASH_SOURCE[0]}")/../run_program.sh"

tiny=(--batch 8 --hidden 16 --critic-hidden 16)
small=("${tiny[@]}" --side 6 --evaluate-every 5)
methods=(tb-u tb-b db-u db-b subtb-u subtb-b fm rl-u rl-b rl-g rl-t q-much)

run_small() { run "${small[@]}" --quiet "$@"; }
same_log() { cmp <(timeless "$1") <(timeless "$2") || fail "the logs $1 and $2 differ"; }

bad_input() {
  local n=refuses_before_training
  $n "unknown method 'foo', there are: tb-u" --method foo
  $n '--side is 0' --side 0
  $n '--side is -3' --side -3
  $n '--side = 1x' --side 1x
  $n '--dimension is 0' --dimension 0
  $n '--dimension is 9' --dimension 9
  for widths in 0 256,0 '' 3,x 3,,4 3, 99999999999 -1; do
    $n "--hidden is '$widths'" --hidden "$widths"
    $n "--critic-hidden is '$widths'" --critic-hidden "$widths"
  done
  for rate in --learning-rate --log-z-rate --critic-rate; do
    $n "$rate is -1" $rate -1
    $n "$rate is nan" $rate nan
    $n "$rate is inf" $rate inf
  done
  for share in --lambda --epsilon --epsilon-decay; do
    $n "$share is 1.1" $share 1.1 --method tb-u
    $n "$share is -0.1" $share -0.1 --method tb-u
    $n "$share is nan" $share nan --method tb-u
  done
  for method in rl-u rl-b rl-g rl-t; do
    $n "--epsilon is 0.1, but $method samples from its own" --epsilon 0.1 --method $method
  done
  for bound in 0 -1 nan inf; do
    $n "--max-kl is $bound, it must be finite and above 0" --max-kl $bound --method rl-t
  done
  $n "--baseline is 'foo', there are: learned, constant, off" --baseline foo
  $n '--backward-learning-rate is nan' --backward-learning-rate nan --method rl-b
  $n '--checkpoint: q-much has none' --method q-much --checkpoint state
  $n '--shared-trunk: tb-u' --method tb-u --shared-trunk
  $n '--backward-loss is' --backward-loss foo
  $n '--anneal-from is 0' --anneal-from 0
  $n '--anneal-iterations: q-much' --anneal-iterations 5 --method q-much
  $n "name the file 'x'" --log x --checkpoint x
  for count in --batch --iterations; do
    $n "$count is 0" $count 0
    $n "$count is -1" $count -1
  done
  $n '--seed is -1' --seed -1
  $n '--evaluate-every is -1' --evaluate-every -1
  $n '--r0 is 0' --r0 0
  $n '--r1 is -1' --r1 -1
  $n '--r2 is nan' --r2 nan
  for file in --log --plot --checkpoint; do
    $n "$file: cannot write '/nowhere/x'" $file /nowhere/x
    $n "$file: '.' is a folder" $file .
    refuses_devices $file "${small[@]}" --iterations 3 --quiet
  done
  ln -s x link
  $n "--log and --checkpoint name the file 'x'" --log x --checkpoint link
  $n "--log and --plot name the file './link'" --log ./link --plot x
  $n "unknown method '\\x1B[31mr\\xFF\\x0A'" --method $'\e[31mr\xff\n'
  $n 'not expected: \x1B[31mr\xFF' $'\e[31mr\xff'
  $n 'too large for exact evaluation' --side 100000 --dimension 8
  $n 'too large for exact evaluation' --side 5000
  $n '--plot needs exact evaluation' --plot x.png --evaluate-every 0
  $n '--resume needs --checkpoint' --resume
  $n 'not expected: --foo' --foo
  $n 'not expected: foo' foo
  $n '--iterations' --iterations
  refuses "cannot read 'none': No such file" --resume --checkpoint none
  refuses 'not finite' "${small[@]}" --learning-rate 1e30 --quiet
  [[ -z $(find . -type f ! -name out ! -name err ! -name mknod_messages) ]] || fail "it left files: $(ls)"
}

good_run() {
  for method in "${methods[@]}"; do
    run_small --method "$method" --iterations 12 --log log
    [[ ! -s out && ! -s err ]] || fail "--quiet is not quiet"
    [[ $(grep -c . log) == 3 ]] || fail "$method: a log of 12 iterations with a line every 5 has 3"
    local number='-?[0-9][-+.e0-9]*' pattern='^\{"iteration": [0-9]+'
    for field in trajectories loss log_z log_z_error total_variation jensen_shannon mean_reward_accuracy \
      mean_reward_ratio distinct_states mean_length train_seconds; do
      pattern+=", \"$field\": $number"
    done
    [[ $method == rl-t ]] && pattern="${pattern/, \"train_seconds/, \"trust_region_step\": $number, \"trust_region_kl\": $number, \"train_seconds}"
    [[ $(grep -cE "$pattern}\$" log) == 3 ]] || fail "$method: the log is not as promised: $(head -1 log)"
    [[ $(tail -1 log) == '{"iteration": 12, "trajectories": 96, '* ]] || fail "$method: $(tail -1 log)"
  done
  run_small --method tb-b --shared-trunk --iterations 12
  run_small --method rl-b --backward-loss squared --anneal-from 0.5 --anneal-iterations 6 --iterations 12
  run "${tiny[@]}" --side 6 --iterations 20 --evaluate-every 0 --log log --quiet
  [[ $(grep -c '"log_z_error": null, "total_variation": null' log) == 2 ]] || fail "without evaluation: $(cat log)"
  run "${tiny[@]}" --side 1 --iterations 3
  grep -q 'total variation from the target  *0.0000  *0.0000' out || fail 'the summary of a grid of one cell'
}

same_seed_same_log() {
  for method in "${methods[@]}"; do
    run_small --method "$method" --iterations 20 --log first
    OMP_NUM_THREADS=4 run_small --method "$method" --iterations 20 --log second
    same_log first second
    run_small --method "$method" --iterations 20 --log third --seed 2
    ! cmp -s <(timeless first) <(timeless third) || fail "$method: another seed gives the same log"
  done
}

resume() {
  for method in "${methods[@]}"; do
    [[ $method == q-much ]] && continue # has no checkpoint
    local options=(--method "$method")
    [[ $method == rl-* ]] || options+=(--epsilon 0.5 --epsilon-decay 0.95)
    run_small "${options[@]}" --iterations 30 --log whole
    run_small "${options[@]}" --iterations 12 --log parts --checkpoint state
    cp state early
    run_small "${options[@]}" --iterations 30 --log parts --checkpoint state --resume
    same_log whole parts
    # the process died long after its last checkpoint, in the middle of a line
    printf '{"iteration": 35, "traj' >>parts
    run_small "${options[@]}" --iterations 30 --log parts --checkpoint early --resume
    same_log whole parts
    # nothing left to do
    run_small "${options[@]}" --iterations 20 --log parts --checkpoint early --resume
    same_log whole parts
  done
  # through links, to what is not there yet, and to what is cut
  mkdir below
  ln -s below/state state_link
  ln -s below/log log_link
  run_small --iterations 12 --log log_link --checkpoint state_link
  run_small --iterations 30 --log log_link --checkpoint state_link --resume
  run_small --iterations 30 --log whole
  same_log whole below/log
  [[ -L state_link && -L log_link && -f below/state && $(find below -type f | wc -l) == 2 ]] || fail "$(ls -l . below)"
}

interrupt() {
  "$program" "${small[@]}" --iterations 100000000 --log parts --checkpoint state --quiet >out 2>err &
  local pid=$! status=0
  for ((i = 0; i < 600; ++i)); do
    [[ -s parts ]] && break
    sleep 0.1
  done
  kill -INT $pid
  wait $pid || status=$?
  [[ $status == 1 && $(<err) == 'hypergrid: stopped after iteration '*"--resume goes on from 'state'" ]] ||
    fail "status $status after an interrupt"
  local iterations
  iterations=$(($(grep -o '[0-9]*' err | head -1) + 7))
  run_small --iterations $iterations --log parts --checkpoint state --resume
  run_small --iterations $iterations --log whole
  same_log whole parts
}

damaged_checkpoint() {
  local go_on=("${small[@]}" --iterations 20 --log log --checkpoint state --resume)
  run_small --iterations 10 --log log --checkpoint state
  cp state good
  cp log good_log
  head -c 1000 good >state
  refuses 'it is cut off' "${go_on[@]}"
  printf 'x' | dd of=state bs=1 seek=700 conv=notrunc 2>dd_messages
  refuses 'it is cut off' "${go_on[@]}"
  cp good state
  printf 'xxxx' | dd of=state bs=1 seek=700 conv=notrunc 2>dd_messages
  refuses 'is damaged' "${go_on[@]}"
  echo 'hello' >state
  refuses "'state' is not a checkpoint" "${go_on[@]}"
  cp good state
  refuses "'--seed 1' there, and '--seed 2' here" "${go_on[@]}" --seed 2
  refuses "'--method rl-u' there, and '--method tb-u' here" "${go_on[@]}" --method tb-u
  refuses "'--side 6' there, and '--side 7' here" "${tiny[@]}" --side 7 --checkpoint state --resume
  cmp log good_log
  cmp state good
  echo 'hello' >log
  refuses "'log' is not a log of this program" "${go_on[@]}"
  [[ $(<log) == hello ]]
}

plot() {
  (PATH=/nowhere "$program" "${small[@]}" --iterations 10 --plot picture.png >out 2>err --quiet) || fail 'without gnuplot'
  [[ $(<err) == 'hypergrid: gnuplot is not installed, --plot is left out' ]] || fail 'without gnuplot'
  # one that breaks off leaves the old picture
  mkdir bin
  cat >bin/gnuplot <<'END'
#!/bin/sh
picture=$(sed -n "s/^set output '\(.*\)'$/\1/p")
echo half >"$picture"
exit 1
END
  chmod +x bin/gnuplot
  echo old >picture.png
  PATH=$PWD/bin:$PATH refuses "gnuplot could not draw 'picture.png'" "${small[@]}" --iterations 10 --plot picture.png \
    --quiet
  [[ $(<picture.png) == old && $(find . -name 'picture*' | wc -l) == 1 ]] || fail "$(ls)"
  command -v gnuplot >/dev/null || return 0
  for grid in '--side 6' '--dimension 1 --side 6' '--dimension 3 --side 4' '--side 1' '--side 300'; do
    rm -f "it's.png"
    # shellcheck disable=SC2086
    run "${tiny[@]}" $grid --quiet --iterations 10 --plot "it's.png"
    [[ ! -s err ]] || fail "gnuplot speaks: $grid"
    [[ $(head -c 4 "it's.png" | tail -c 3) == PNG ]] || fail "no picture: $grid"
  done
}

help() {
  "$program" --help >out 2>err || fail --help
  run_small --iterations 5 --log log
  "$program" --help >out
  for field in $(grep -o '"[a-z_]*"' log | tr -d '"'); do
    grep -qE "^ +$field " out || fail "--help does not explain $field"
  done
}

"$2"
