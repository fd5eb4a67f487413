# The whole of Obscura in one container: bodies of 35 MB, and an instance that is always on.
# It runs as an unprivileged user and writes only to /tmp, so that its root file system may be read-only.
FROM python:3.13-slim-trixie AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.8 /uv /bin/uv
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /obscura
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --extra otel --no-install-project
COPY layers layers
RUN uv sync --frozen --no-dev --extra otel --no-editable

FROM python:3.13-slim-trixie
COPY --from=build /obscura/.venv /obscura/.venv
ENV PATH=/obscura/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 OBSCURA_DATA_DIR=/tmp/obscura
USER 65534:65534
EXPOSE 8000
CMD ["python", "-m", "obscura.cli.container"]
