# Runs the suite's programs one at a time, in a machine or natively, as standard input asks:
#   prepare NAME        what a program needs, not measured
#   run NAME COUNT      runs it COUNT times, and answers "ended STATUS USER SYSTEM" (seconds)
#   check               answers "output SHA256 ERRORS" about what the last one wrote
# Started by bash in the folder of the payload.
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=$PWD
TIMEFORMAT='%3U %3S'
. ./programs.sh
echo ready
while read -r verb name count; do
  case $verb in
    prepare)
      (set -e; "prepare_$name") >/dev/null 2>err </dev/null
      echo "prepared $?"
      ;;
    run)
      status=0
      { time while [ "$count" -gt 0 ]; do
        ("run_$name") >out 2>err </dev/null || status=$?
        count=$((count - 1))
      done; } 2>times
      read -r user system <times
      echo "ended $status $user $system"
      ;;
    check)
      read -r sum rest < <(sha256sum <out)
      echo "output $sum $(head -c 200 err | tr '\n' ' ')"
      ;;
  esac
done
