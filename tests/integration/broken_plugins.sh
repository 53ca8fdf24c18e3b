#!/bin/sh
# Plugins that can't be loaded or started: whoever names one gets one line that says why; chosen automatically, the next
# backend is taken. Links in circles.
. "$(dirname "$0")/common.sh"

fakes=$(realpath "$TTM_TEST_PROGRAMS/../unit/core/plugins")
conformance="$TTM_TOOLS/ttm-conformance"
mkdir plugins
TTM_BACKEND_PATH="$scratch/plugins:$TTM_BACKEND_PATH"
export TTM_BACKEND_PATH
awk 'BEGIN { for (i = 0; i < 400; i++) print "number " i " of the lines that this test learns" }' >text.txt
training="$train $small --data text.txt --steps 1"

# ---- Plugins with one flaw each ----
# broken NAME TEXT: training on this plugin ends with one line that names it and says TEXT, and leaves no folder.
broken()
{
    ln -s "$fakes/libttm-backend-$1.so" plugins
    expect 1 $training --backend "$1:1" --out "run-$1"
    one_line_error
    grep -q "$1" err && grep -q -- "$2" err || fail "$1: no '$2' in: $(cat err)"
    [ ! -e "run-$1" ] || fail "$1: a folder was left"
}
broken wrongmagic 'starts with 0x12345678 instead of the magic'
broken newermajor 'get the plugin built for this libttm'
broken tinytable 'its table claims'
broken hugetable 'its table claims'
broken nosymbol "doesn't export ttm_backend_entry"
broken undefined 'undefined symbol'
broken notable 'this processor lacks the instructions'
broken noreason 'returned no table and gave no reason'
broken constructor 'the driver could not be started'
broken noopen 'lacks the required member device_open'
broken noversion 'lacks the required member version'
broken halfevents 'all or none must be there'
broken halfops 'op_run without op_supported'
broken misnamed "calls itself 'other'"
broken countnegative '-1 devices'
broken countmillion '1000000 devices'
broken countfails "the driver doesn't answer"
broken strangekind 'kind is 7'
broken oddalignment 'powers of two'
broken nomap 'memory_map'
broken openfails 'another program holds the'
broken opensilent 'and no reason'
broken opennothing 'opened nothing'
broken strangestatus '77'
broken streamfails 'no queue is free'
broken syncfails 'kernel 12 faulted'
broken allocfails 'the heap is full'
ln -s loop2 plugins/libttm-backend-loop1.so
ln -s libttm-backend-loop1.so plugins/loop2
expect 1 $training --backend loop1 --out loop
one_line_error
grep -q 'symbolic links' err || fail "no word of a symlink loop: $(cat err)"

# All of them are listed with what is wrong, beside what works.
expect 0 "$TTM_TOOLS/ttm-devices"
for plugin in plugins/libttm-backend-*.so; do
    case $plugin in
    # These describe their devices well; it is opening them, or using them, that fails.
    *openfails* | *opensilent* | *opennothing* | *strangestatus* | *streamfails* | *syncfails* | *allocfails*) ;;
    *) grep -q "$(basename "$plugin")" out || fail "no word of $plugin: $(cat out)" ;;
    esac
done
grep -q 'symbolic links' out || fail "no word of a symlink loop: $(cat out)"
grep -q 'reference' out || fail "broken plugins hide a good one"

# The best device of all can't be opened; the next one that works is taken.
rm plugins/libttm-backend-opensilent.so plugins/libttm-backend-opennothing.so plugins/libttm-backend-strangestatus.so \
    plugins/libttm-backend-streamfails.so plugins/libttm-backend-syncfails.so plugins/libttm-backend-allocfails.so
expect 0 $training --backend auto --out auto
grep -q 'openfails:0.*another program holds the' err || fail "no word of the device that couldn't be opened: $(cat err)"

# Tables of other minor versions are no flaw. Neither has ops: libttm does them all.
for plugin in olderminor newerminor; do
    ln -s "$fakes/libttm-backend-$plugin.so" plugins
    expect 0 $training --backend "$plugin" --out "run-$plugin"
done

# The suite is a process of its own, apart from that of the plugin: it outlives what no loader can.
for plugin in crashes exits; do
    expect 1 "$conformance" --plugin "$fakes/libttm-backend-$plugin.so"
    one_line_error
    grep -q "libttm-backend-$plugin.so couldn't be opened: the process" err || fail "$plugin: $(cat err)"
done

# Elsewhere the last line of a debug log says which file it was.
mkdir crashing
ln -s "$fakes/libttm-backend-crashes.so" crashing
expect 134 env TTM_BACKEND_PATH="$scratch/crashing" TTM_LOG=debug "$TTM_TOOLS/ttm-devices"
grep -v '^Aborted' err | tail -n 1 | grep -q "loading backend plugin '$scratch/crashing/libttm-backend-crashes.so'" ||
    fail "the log doesn't end with the plugin that crashed: $(cat err)"

# ---- Two plugins of one name ----
mkdir first second
cp "$fakes/libttm-backend-fake.so" first
cp "$fakes/libttm-backend-fake.so" second
expect 0 env TTM_BACKEND_PATH="$scratch/first:$scratch/second" "$TTM_TOOLS/ttm-devices"
grep -A 1 'second/libttm-backend-fake.so' out | grep -q 'shadowed by.*first/libttm-backend-fake.so' ||
    fail "no word of the plugin that was found second: $(cat out)"
