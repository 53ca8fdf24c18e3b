#!/bin/sh
# ttm-tokenize: text to tokens and back; what is there already survives whatever goes wrong.
. "$(dirname "$0")/common.sh"
tokenize="$TTM_TOOLS/ttm-tokenize"

"$TTM_TEST_PROGRAMS/markov_source" 20000 1 >text.txt 2>/dev/null
expect 0 "$tokenize" train --vocab-size 300 --out vocabulary text.txt
expect 0 "$tokenize" info --tokenizer vocabulary --json
[ "$(json_value out vocab_size)" -le 300 ] || fail "more tokens than were asked for: $(cat out)"

# Text comes back from a file of tokens, from numbers, and through pipes.
expect 0 "$tokenize" encode --tokenizer vocabulary --out text.bin text.txt
expect 0 "$tokenize" decode --tokenizer vocabulary text.bin
cmp out text.txt || fail "a file of tokens isn't the text"
expect 0 "$tokenize" encode --tokenizer vocabulary --format ids --out text.ids text.txt
expect 0 "$tokenize" decode --tokenizer vocabulary --out back.txt text.ids
cmp back.txt text.txt || fail "numbers aren't the text"
"$tokenize" encode --tokenizer vocabulary - <text.txt | "$tokenize" decode --tokenizer vocabulary - >back.txt
cmp back.txt text.txt || fail "pipes lose the text"

# A file may be replaced by what was made of it.
cp text.bin same.bin
expect 0 "$tokenize" encode --tokenizer vocabulary --format ids --out same.bin same.bin
cmp same.bin text.ids || fail "tokens as numbers over themselves"
cp text.bin same.bin
expect 0 "$tokenize" decode --tokenizer vocabulary --out same.bin same.bin
cmp same.bin text.txt || fail "text over its tokens"

# A link goes on leading to the file, one that was there before and one that is made now.
mkdir elsewhere
printf 'old' >elsewhere/old.txt
ln -s elsewhere/old.txt old-link
ln -s new.txt elsewhere/second-link
ln -s elsewhere/second-link new-link
for link in old-link new-link; do
    expect 0 "$tokenize" decode --tokenizer vocabulary --out $link text.bin
    [ -L $link ] || fail "$link is replaced"
    cmp elsewhere/${link%-link}.txt text.txt || fail "what $link leads to isn't the text"
done
[ -L elsewhere/second-link ] || fail "a link to a link is replaced"
# Files that libttm itself writes, likewise.
ln -s elsewhere/tokens.bin tokens-link.bin
for time in 1 2; do
    expect 0 "$tokenize" encode --tokenizer vocabulary --out tokens-link.bin text.txt
    [ -L tokens-link.bin ] || fail "tokens-link.bin is replaced"
    cmp elsewhere/tokens.bin text.bin || fail "what tokens-link.bin leads to isn't the tokens, time $time"
done
ln -s round-link round-link
expect 1 "$tokenize" decode --tokenizer vocabulary --out round-link text.bin
one_line_error
ln -s missing/file.txt lost-link
expect 1 "$tokenize" decode --tokenizer vocabulary --out lost-link text.bin
one_line_error
[ -L lost-link ] || fail "a link into a folder that isn't there is replaced"

# A signal leaves nothing behind but what was there before.
mkdir signal
printf 'old' >signal/file
mkfifo waiting
"$tokenize" decode --tokenizer vocabulary --out signal/file - <waiting 2>/dev/null &
decoder=$!
exec 3>waiting
while [ "$(ls signal | wc -l)" -lt 2 ] && kill -0 $decoder; do
    sleep 0.02
done
kill -TERM $decoder
status=0
wait $decoder || status=$?
exec 3>&-
[ "$status" -eq 143 ] || fail "exit status $status after SIGTERM"
[ "$(ls signal)" = file ] && [ "$(cat signal/file)" = old ] || fail "SIGTERM leaves: $(ls signal)"

# refuse CODE PATTERN ARGUMENT…: one line says PATTERN, and the file `mine` stays.
printf 'mine' >mine
refuse()
{
    code=$1
    pattern=$2
    shift 2
    expect "$code" "$tokenize" "$@"
    one_line_error
    grep -q -- "$pattern" err || fail "the message doesn't say '$pattern': $(cat err)"
    [ "$(cat mine)" = mine ] || fail "a file was lost by: $*"
}
: >empty.txt
printf '1 2 300000 4' >beyond.ids
refuse 2 'COMMAND'
refuse 2 'there is no command' translate
refuse 2 '--out' train text.txt
refuse 1 'missing.txt' train --out never missing.txt
refuse 1 'mine' train --out mine text.txt
refuse 2 'text.bin' train --out never text.txt text.bin
refuse 1 "'signal'" decode signal
refuse 1 'empty' train --out never empty.txt
refuse 2 'FILE' encode
refuse 2 'stands alone' encode text.txt -
refuse 2 '--json' encode --json text.txt
refuse 2 '--json .* decode' decode --json text.bin
refuse 2 '--tokenizer .* train' train --out never --tokenizer bytes text.txt
refuse 2 '--format .* train' train --out never --format ids text.txt
refuse 2 '--special .* decode' decode --special text.bin
refuse 2 '--format .* decode' decode --format ids text.bin
refuse 2 '--vocab-size .* encode' encode --vocab-size 300 text.txt
refuse 2 '--min-frequency .* encode' encode --min-frequency 3 text.txt
refuse 2 '--threads .* decode' decode --threads 1 text.bin
refuse 2 '--threads .* info' info --threads 1
refuse 2 '--threads .* encode -' encode --threads 1 -
refuse 2 '--out .* info' info --out mine
refuse 2 '\.bin' encode --out mine text.txt
refuse 2 '\.bin' encode --format nanogpt text.txt
refuse 1 'empty' encode --out never.bin empty.txt
refuse 1 'empty' encode --format ids --out mine empty.txt
refuse 1 'missing.txt' encode --out never.bin missing.txt
refuse 1 'missing.bin' decode --out mine missing.bin
refuse 1 'missing.ids' decode --out mine missing.ids
refuse 1 '300000' decode --tokenizer vocabulary --out mine beyond.ids
refuse 1 'nowhere' info --tokenizer nowhere
refuse 1 'no-folder' decode --tokenizer vocabulary --out no-folder/x text.bin
refuse 1 'missing.txt' train --out vocabulary missing.txt
[ -s vocabulary/tokenizer.json ] || fail "a vocabulary went with a failure"
ln -s nowhere/folder lost-folder
refuse 1 'lost-folder' train --out lost-folder missing.txt
[ ! -e never ] || fail "a folder is left by a training that failed"
# Its only file can't be written: that is told before the text is even looked for.
mkdir locked
chmod 555 locked
[ -w locked ] || refuse 1 'locked/tokenizer.json' train --out locked missing.txt
mkdir -p taken/tokenizer.json
refuse 1 'taken/tokenizer.json' train --out taken missing.txt
# What fails only when it is written: a limit on the size of files.
(
    ulimit -f 1
    expect 1 "$tokenize" train --vocab-size 300 --out never text.txt
)
[ ! -e never ] || fail "a folder is left by a vocabulary that couldn't be written"
[ ! -e never.bin ] && ! ls | grep '\.tmp' || fail "temporary files are left"

# Output that can't be written is an error.
if [ -c /dev/full ]; then
    refuse 1 'No space left' decode --tokenizer vocabulary --out /dev/full text.bin
    [ -c /dev/full ] || fail "a device was replaced"
fi
