# BetaNAS for the CPU, or for NVIDIA GPUs with the same image: torch's wheels from PyPI bring CUDA along.
#
#     docker build --tag betanas .
#     docker run --rm -v "$PWD:/work" betanas search --data photos --space betanet3 --study runs/photos --budget 60s --trials 40
#     docker run --rm --gpus all --shm-size 8g -v "$PWD:/work" betanas ...
#
# A smaller image without CUDA: --build-arg TORCH_INDEX=<the index of torch's CPU wheels>.
FROM python:3.12-slim AS wheel
WORKDIR /source
RUN pip install --no-cache-dir build
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m build --wheel --outdir /wheels

FROM python:3.12-slim
ARG TORCH_INDEX=""
ARG EXTRAS="find,watch,several-devices,postgresql,optuna,timm,tensorboard"
# Chromium draws figures as pictures; the report and the dashboard do without it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium \
    && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /wheels /wheels
RUN set -eu; \
    if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision; fi; \
    pip install --no-cache-dir "$(ls /wheels/*.whl)[$EXTRAS]"; \
    rm -rf /wheels
# Studies belong to whoever starts the container: docker run --user "$(id -u):$(id -g)".
RUN useradd --create-home betanas
USER betanas
ENV BETANAS_CACHE=/tmp/betanas-cache
WORKDIR /work
ENTRYPOINT ["betanas"]
CMD ["--help"]
