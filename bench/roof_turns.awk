# What ttm-bench measured and what an independent program did, in many short turns, for check-opencl-roofs.sh.
#     awk -f bench/roof_turns.awk VALUES
# Lines of VALUES: WHERE ROOF TURN WHO VALUE, with WHO `theirs` and `ours` in each turn. A machine whose speed moves gives both their share of its fast and slow
# phases: so the best of all turns is compared with the best, and each turn of ours with theirs of the same turn, of whose ratios the median and the quartiles are printed.
function sort(list, n,    i, k, swap)
{
    for (i = 1; i < n; i++)
        for (k = i; k > 0 && list[k] < list[k - 1]; k--) { swap = list[k]; list[k] = list[k - 1]; list[k - 1] = swap }
}
# The value at a fraction of a sorted list.
function at(list, n, fraction,    place)
{
    place = fraction * (n - 1)
    return list[int(place)] + (place - int(place)) * (list[int(place) + (place > int(place))] - list[int(place)])
}
{
    key = $1 " " $2
    if (!(key in seen)) { seen[key]; keys[count++] = key }
    value[key, $3, $4] = $5
    if ($5 + 0 > best[key, $4]) best[key, $4] = $5 + 0
    if ($3 + 0 > turns) turns = $3 + 0
}
END {
    for (c = 0; c < count; c++) {
        key = keys[c]
        n = 0
        for (turn = 1; turn <= turns; turn++)
            if ((key, turn, "ours") in value && (key, turn, "theirs") in value && value[key, turn, "theirs"] > 0)
                ratio[n++] = value[key, turn, "ours"] / value[key, turn, "theirs"]
        if (n == 0) { print key ": nothing was measured"; continue }
        sort(ratio, n)
        printf "%-16s best: ttm-bench %10.4g   independent %10.4g   ratio %.3f     ratios of %d turns: median %.3f   quartiles %.3f %.3f\n",
            key, best[key, "ours"], best[key, "theirs"], best[key, "ours"] / best[key, "theirs"], n, at(ratio, n, 0.5), at(ratio, n, 0.25), at(ratio, n, 0.75)
    }
}
