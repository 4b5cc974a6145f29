#!/bin/sh
# Loads a machine of four CPUs with stress-ng for some minutes, and looks at what its kernel thinks
# of it. Run by 'make soak'; makes the image it needs, soak, from Debian's archive.
#
# usage: Tests/Soak/stress.sh [MINUTES]
#
# $VOLARY_BIN is the folder of the programs; $VOLARY_OPTIONS more options for the machine.
set -eu

minutes=${1:-10}
bin=${VOLARY_BIN:-$(dirname "$0")/../../.build/release}

guest='
set -e
before=$(dmesg | wc -l)
cd /var/tmp
code=0
stress-ng --timeout "$1" --metrics-brief --verify \
  --cpu 2 --vm 1 --vm-bytes 128M --io 1 --hdd 1 --hdd-bytes 64M --fork 1 --switch 1 \
  --timer 1 --futex 1 --pipe 1 --mmap 1 --mmap-bytes 32M 2>&1 || code=$?
[ "$code" -eq 0 ] || { echo "soak: stress-ng ended with $code" >&2; exit 91; }
bad=$(dmesg | tail -n +"$((before + 1))" | grep -iE "warning|oops|bug:|stall|lockup|hung task|i/o error|ext4-fs error|bad page|unable to handle" || :)
[ -z "$bad" ] || { echo "soak: the guest'"'"'s kernel complains:" >&2; echo "$bad" >&2; exit 92; }
echo "soak: the guest is well"
'

"$bin/volary" image build debian/13 --arch riscv64 --name soak --package stress-ng --if-missing
# shellcheck disable=SC2086 # options are words
"$bin/volary" run soak --cpus 4 --memory 1GiB --disk 8GiB ${VOLARY_OPTIONS:-} -- \
  bash -c "$guest" soak "$((minutes * 60))s" </dev/null
echo "soak: power-off after $minutes minutes, exit code 0"
