# Ratios of what ttm-bench measured to what an independent program did, for check-roofs.sh and check-opencl-roofs.sh.
#     awk -v rounds=N -f bench/roof_ratios.awk VALUES
# Lines of VALUES: WHERE ROOF TURN WHO VALUE, with WHO `theirs` in turns 0 to N and `ours` in 1 to N, each between two of theirs. A round
# counts for a roof only where theirs were the same before and after, within 5 %. Prints medians over the rounds that count.
function median(list, n,    i, k, swap)
{
    for (i = 1; i < n; i++)
        for (k = i; k > 0 && list[k] < list[k - 1]; k--) { swap = list[k]; list[k] = list[k - 1]; list[k - 1] = swap }
    return n % 2 ? list[(n - 1) / 2] : (list[n / 2 - 1] + list[n / 2]) / 2
}
{ value[$1, $2, $3, $4] = $5; key = $1 " " $2; if (!(key in seen)) { seen[key]; keys[count++] = key } }
END {
    for (c = 0; c < count; c++) {
        split(keys[c], part, " ")
        n = 0
        for (r = 1; r <= rounds; r++) {
            before = value[part[1], part[2], r - 1, "theirs"]; after = value[part[1], part[2], r, "theirs"]
            if (before > 1.05 * after || after > 1.05 * before) continue
            ratio[n] = value[part[1], part[2], r, "ours"] / ((before + after) / 2)
            our[n] = value[part[1], part[2], r, "ours"]; their[n++] = (before + after) / 2
        }
        printf "%-10s %-24s ", part[1], part[2]
        if (n == 0) { print "changed by itself in every round"; continue }
        printf "ttm-bench %10.4g   independent %10.4g   ratio %.3f   %d of %d rounds\n", median(our, n), median(their, n), median(ratio, n), n, rounds
    }
}
