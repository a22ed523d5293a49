#!/usr/bin/env bash
# From a folder of images to an exported, checked model: search, make sure, train, compare, export, try it.
#
#     ./own_images.sh photos runs/photos                         # one folder for each class in photos/
#     BUDGET=5m TRIALS=100 EPOCHS=100epochs ./own_images.sh photos runs/photos
#
# Interrupted, the same command goes on where it was.
set -euo pipefail
photos=${1:?the folder of images}
place=${2:?where to keep what is made}
resolution=${RESOLUTION:-64}

if [ -e "$place/study/study.sqlite" ]; then
  betanas resume "$place/study"
else
  betanas search --data "$photos" --space betanet3 --study "$place/study" --resolution "$resolution" \
    --budget "${BUDGET:-60s}" --trials "${TRIALS:-40}"
fi
# The best of many single trainings is partly lucky.
betanas confirm "$place/study" --top "${TOP:-3}" --seeds "${SEEDS:-3}"
betanas report "$place/study" --output "$place/report.html"

betanas train "$place/study" --data "$photos" --resolution "$resolution" --folder "$place/network" \
  --budget "${EPOCHS:-30epochs}"
betanas compare "$place/study" mobilenet_v2 --data "$photos" --resolution "$resolution" --folder "$place/compared" \
  --budget "${BUDGET:-60s}" --seeds "${SEEDS:-3}"

betanas export "$place/network" --to "$place/model" --overwrite
betanas predict "$place/model" "$(find "$photos" -type f | sort | head -n 1)"
