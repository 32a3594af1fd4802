#!/bin/sh
# Takes the first `images` pictures of each class out of the raw set.
set -eu
images=$(sed -n 's/.*"images": *\([0-9]*\).*/\1/p' config/load.json)
mkdir -p data
for class in raw/*/; do
  name=$(basename "$class")
  mkdir -p "data/$name"
  ls "$class" | head -n "$images" | while read -r file; do printf '%s\n' "$class$file"; done | xargs cp -t "data/$name"
done
echo "loaded $images images a class"
