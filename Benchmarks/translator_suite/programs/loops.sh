# Arithmetic, cases, functions and strings in the shell itself.
collatz() {
  n=$1 steps=0
  while [ "$n" -ne 1 ]; do
    if [ $((n % 2)) -eq 0 ]; then n=$((n / 2)); else n=$((3 * n + 1)); fi
    steps=$((steps + 1))
  done
}
sum=0 i=1
while [ "$i" -le 400 ]; do
  collatz "$i"
  case $steps in
    *7*) sum=$((sum + steps)) ;;
    1*) sum=$((sum ^ steps)) ;;
  esac
  text="$i-$steps"
  [ "${text#*-}" = "$steps" ] && sum=$((sum + ${#text}))
  i=$((i + 1))
done
echo "$sum"
