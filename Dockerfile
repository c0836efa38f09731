# One image for both programs: `python -m dispatcher` (the default) and `python -m worker`.
FROM python:3.11-slim-bookworm AS packages
WORKDIR /greenroom
# Only what decides which packages are installed, so that a change of the source doesn't install them again.
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY cli/ cli/
# The step that `make setup` runs; livekit-server has an image of its own.
RUN cli/setup/setup.sh python

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 10001 greenroom
WORKDIR /greenroom
COPY --from=packages /greenroom/.venv .venv
COPY . .
ENV PATH=/greenroom/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER greenroom
CMD ["python", "-m", "dispatcher"]
