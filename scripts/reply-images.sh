#!/bin/sh
# Shows each kind of reply as a mail program does: doc/images/reply-*.png, made anew from the texts in
# tests/golden/replies. Needs chromium-headless-shell, whose window is as large as it is told, and
# pngquant, which makes the images small.
set -eu
cd "$(dirname "$0")/.."
for program in chromium-headless-shell pngquant; do
    command -v "$program" >/dev/null || {
        echo "$program is missing: apt-get install chromium-headless-shell pngquant" >&2
        exit 1
    }
done
cargo build --quiet --bin airut
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p doc/images

browser() {
    timeout 120 chromium-headless-shell --no-sandbox --disable-gpu --no-first-run --hide-scrollbars \
        --disable-quic --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$work/profile" "$@" 2>/dev/null
}

# shot NAME IMAGE WIDTH SCHEME: 0 is dark, 1 is light. The page is asked for its height first, so that
# the image ends where it does.
shot() {
    sed 's|</body>|<script>document.title="height " + document.body.offsetHeight</script>&|' \
        "$work/$1.html" >"$work/measured.html"
    height=$(browser --window-size="$3,400" --dump-dom "file://$work/measured.html" |
        sed -n 's/.*<title>height \([0-9]*\).*/\1/p')
    browser --blink-settings="preferredColorScheme=$4" --window-size="$3,$((height + 24))" \
        --screenshot="$work/$2.png" "file://$work/$1.html"
    pngquant --force --strip --quality 40-90 --output "doc/images/reply-$2.png" 32 "$work/$2.png"
}

# The files that are attached to an answer, as mail programs list them below it.
files_of() {
    case $1 in
    with-files) echo "chart.png (48 KB) figures.csv (2 KB)" ;;
    too-long) echo "response.md (97 KB)" ;;
    esac | sed 's|\([^ ]*\) (\([^)]*\)) *|<span style="border:1px solid #8c959f;border-radius:6px;\
padding:6px 10px;margin-right:8px;font:13px sans-serif">📎 \1 <small>\2</small></span>|g'
}

for text in tests/golden/replies/*.md; do
    name=$(basename "$text" .md)
    [ "$name" = example ] && continue
    files=$(files_of "$name")
    target/debug/airut render --channel email --html "$text" |
        awk -v files="$files" '{
            if (files != "" && sub("</body>", "<div style=\"margin:16px 0 8px\">" files "</div>&")) { files = "" }
            print
        }' >"$work/$name.html"
    shot "$name" "$name" 600 1
done
shot answer answer-dark 600 0
shot answer answer-phone 360 1
shot answer answer-phone-dark 360 0
ls -l doc/images/reply-*.png
