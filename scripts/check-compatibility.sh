#!/bin/sh
# Checks doc/compatibility.md: every feature is listed once, and the tests it names exist.
set -eu
cd "$(dirname "$0")/.."
list=doc/compatibility.md
rows_expected=320
bad=0

rows=$(grep -c '^| [A-Z]*-[0-9]* |' "$list")
if [ "$rows" -ne "$rows_expected" ]; then
    echo "$list has $rows rows; there are $rows_expected features" >&2
    bad=1
fi
twice=$(sed -n 's/^| \([A-Z]*-[0-9]*\) |.*/\1/p' "$list" | sort | uniq -d)
if [ -n "$twice" ]; then
    echo "$list has these rows twice:" $twice >&2
    bad=1
fi
# A test is named in backquotes in the last column.
for test in $(sed -n 's/^| [A-Z]*-[0-9]* |.*|\([^|]*\)|$/\1/p' "$list" | grep -o '`[a-z0-9_]*`' |
    tr -d '`' | sort -u); do
    if ! grep -rqE "fn $test\b" src tests; then
        echo "$list names the test $test, which does not exist" >&2
        bad=1
    fi
done
[ "$bad" -eq 0 ] && echo "$list: $rows rows, every named test exists"
exit "$bad"
