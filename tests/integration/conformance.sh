#!/bin/sh
# ttm-conformance's own promises: cases are a function of their name and the seed, a failure's command repeats it alone, and
# the lines, the JSON file and the JUnit file say the same.
. "$(dirname "$0")/common.sh"

conformance="$TTM_TOOLS/ttm-conformance"
last_line()
{
    tail -n 1 out
}

# ---- Choosing cases ----
expect 0 "$conformance" --backend reference --list --filter gelu
[ "$(wc -l <out)" -eq 60 ] || fail "--list prints $(wc -l <out) cases of gelu"
grep -q '^gelu/0  ' out || fail "--list names no gelu/0"
cp out listed
expect 0 "$conformance" --backend reference --list --filter gelu
cmp -s out listed || fail "the same seed lists other cases"
expect 0 "$conformance" --backend reference --list --filter gelu --seed 2
! cmp -s out listed || fail "another seed lists the same cases"
expect 0 "$conformance" --backend reference --list --filter 'gelu*' --cases 3
cut -d ' ' -f 1 out >names
printf 'gelu/0\ngelu/1\ngelu/2\ngelu_backward/0\ngelu_backward/1\ngelu_backward/2\n' | cmp -s - names || fail "a pattern and --cases choose $(cat names)"
expect 0 "$conformance" --backend reference --filter gelu/3 --verbose
[ "$(last_line)" = '1 passed, 0 failed' ] && grep -q '^ok gelu/3' out || fail "one case alone: $(cat out)"
expect 0 "$conformance" --backend reference --filter gelu/3 --verbose --dtype bf16
grep -q 'bf16' out && ! grep -q 'f32\|f64' out || fail "--dtype bf16 tests something else: $(cat out)"
# By file, by name and through TTM_BACKEND it is the same plugin.
for how in "--plugin $TTM_BACKEND_PATH/libttm-backend-reference.so" '--backend reference:0' '--in-process --backend reference'; do
    expect 0 "$conformance" $how --filter gelu --cases 5
    [ "$(last_line)" = '5 passed, 0 failed' ] || fail "$how: $(cat out)"
done
expect 0 env TTM_BACKEND=reference "$conformance" --filter gelu --cases 5
[ "$(last_line)" = '5 passed, 0 failed' ] || fail "TTM_BACKEND: $(cat out)"

# ---- Wrong usage ----
for option in "--json-file x" "--junit-file x" --verbose --in-process "--time-limit 5"; do
    # shellcheck disable=SC2086  # options are words
    expect 2 "$conformance" --backend reference --list $option
    one_line_error
    grep -q -e "${option%% *} doesn't go with --list" err || fail "$option isn't named: $(cat err)"
done
expect 2 "$conformance" --backend reference --plugin x.so
one_line_error
for filter in nosuch gelu/5 '*nosuch*' ''; do
    expect 2 "$conformance" --backend reference --filter "$filter" --cases 5
    one_line_error
done
expect 1 "$conformance" --plugin libttm-backend-missing.so
one_line_error
# Longer than any command that is printed, and a device that wants quotes behind it.
expect 1 "$conformance" --plugin "$(printf '%05000d' 0)" --device "a device's name"
one_line_error
for file in --json-file --junit-file; do
    expect 1 "$conformance" --backend reference --filter gelu/3 $file missing/report
    one_line_error
    [ ! -s out ] || fail "a $file that can't be written is told late: $(cat out)"
done
cp "$TTM_BACKEND_PATH/libttm-backend-reference.so" renamed.so
expect 1 "$conformance" --plugin ./renamed.so
one_line_error
grep -q 'libttm-backend-NAME.so' err || fail "no word of how a plugin is called: $(cat err)"
expect 1 "$conformance" --backend reference:7
one_line_error

# ---- A failure, and the command that repeats it ----
TTM_FAULTY_BASE=$(realpath "$TTM_BACKEND_PATH/libttm-backend-reference.so")
TTM_BACKEND_PATH="$TTM_TEST_PROGRAMS:$TTM_BACKEND_PATH"
PATH="$TTM_TOOLS:$PATH"
export TTM_FAULTY_BASE TTM_BACKEND_PATH PATH TTM_FAULTY
TTM_FAULTY=odd
TTM_FAULTY_AT=0
export TTM_FAULTY_AT
expect 1 "$conformance" --backend faulty --filter gelu --seed 5 --dtype f32 --cases 70 --json-file report.json --junit-file report.xml
last_line >total
grep '^FAILED' out >failures
sed -n 's/^    repeat: //p' out >commands
count=$(wc -l <failures)
[ "$count" -ge 2 ] && [ "$(cat total)" = "$((70 - count)) passed, $count failed" ] && [ "$(wc -l <commands)" -eq "$count" ] ||
    fail "not a line and a command for each failure: $(cat out)"
while read -r command <&3; do
    expect 1 sh -c "$command"
    [ "$(last_line)" = '0 passed, 1 failed' ] || fail "'$command' doesn't repeat the failure: $(cat out)"
    grep '^FAILED' out >>repeated
done 3<commands
cmp -s failures repeated || fail "repeated, the cases fail in another way: $(cat failures repeated)"

# The command repeats the failure as it was asked for: names that a shell would take apart, the device, the time limit.
mkdir "odd place's"
cp "$TTM_TEST_PROGRAMS/libttm-backend-faulty.so" "odd place's"
expect 1 "$conformance" --plugin "odd place's/libttm-backend-faulty.so" --device 0 --time-limit 50 --filter gelu
command=$(sed -n 's/^    repeat: //p' out | head -n 1)
case $command in
*"--plugin 'odd place'"*"--device 0 --time-limit 50 --seed 1 --filter 'gelu/"*) ;;
*) fail "the command leaves something out: $command" ;;
esac
expect 1 sh -c "$command"
[ "$(last_line)" = '0 passed, 1 failed' ] || fail "'$command' doesn't repeat the failure: $(cat out err)"

python3 - "$count" <<'END' || fail "the reports differ from what was printed"
import json
import sys
import xml.etree.ElementTree
count = int(sys.argv[1])
failed = [line.split()[1].rstrip(":") for line in open("failures")]
commands = open("commands").read().splitlines()
report = json.load(open("report.json"))
assert (report["seed"], report["passed"], report["failed"], len(report["cases"])) == (5, 70 - count, count, 70)
found = [case for case in report["cases"] if case["outcome"] == "failed"]
assert [case["name"] for case in found] == failed and [case["repeat"] for case in found] == commands
suites = xml.etree.ElementTree.parse("report.xml").getroot()
cases = suites.findall("testsuite/testcase")
assert (suites.get("tests"), suites.get("failures"), len(cases)) == ("70", str(count), 70)
# What readers of such files ask for: the xUnit plugin's schema requires these attributes.
for suite in suites.findall("testsuite"):
    inside = suite.findall("testcase")
    assert suite.get("name") and suite.get("errors") == "0" and float(suite.get("time")) >= 0
    assert int(suite.get("tests")) == len(inside) and int(suite.get("failures")) == len(suite.findall("testcase/failure"))
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
    assert all(case.get("classname") == suite.get("name") and float(case.get("time")) >= 0 for case in inside)
found = [case for case in cases if case.find("failure") is not None]
assert [case.get("name") for case in found] == failed
assert all(case.find("failure").text.startswith(command) for case, command in zip(found, commands))
END
