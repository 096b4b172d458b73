# syntax=docker/dockerfile:1
# Two images: `worker` (also every other `astroflow` command) and `engine`. docker-compose.yml builds both.
# Versions were checked against what their publishers list in autumn 2026.

FROM node:24.21.0-trixie-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package needs its install script to run here: programs and libraries come as packages of their own.
RUN npm ci --omit=dev --ignore-scripts

FROM node:24.21.0-trixie-slim AS worker
ENV NODE_ENV=production \
    ASTROFLOW_HOME=/var/lib/astroflow \
    ASTROFLOW_HEALTH_ADDRESS=127.0.0.1:9465
WORKDIR /app
# Volumes are made with the owner of these folders.
RUN mkdir -p /var/lib/astroflow /weights && chown node:node /var/lib/astroflow /weights
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY bin ./bin
COPY configs ./configs
COPY data ./data
COPY deploy/healthcheck.mjs ./deploy/
COPY examples ./examples
COPY prompts ./prompts
COPY src ./src
# The tokenizer of the bundled model, which workers have a use for too.
COPY engine/base/model ./engine/base/model
USER node
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
    CMD ["node", "deploy/healthcheck.mjs", "http://127.0.0.1:9465/healthz"]
ENTRYPOINT ["node", "bin/astroflow.js"]
CMD ["worker"]

FROM python:3.13.15-slim-trixie AS engine-packages
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY engine/requirements.txt .
# The CPU build first: what PyPI has for Linux brings gigabytes of CUDA along.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' requirements.txt)+cpu" \
    && pip install --no-cache-dir -r requirements.txt

FROM python:3.13.15-slim-trixie AS engine
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN useradd --system --uid 1000 --no-create-home engine \
    && mkdir -p /var/lib/astroflow-engine && chown engine /var/lib/astroflow-engine
COPY --from=engine-packages /opt/venv /opt/venv
COPY engine ./engine
USER engine
STOPSIGNAL SIGTERM
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=8); c.request('GET', '/api/v1/healthz'); exit(c.getresponse().status >= 500)"]
ENTRYPOINT ["python", "-m", "engine", "--model", "engine/base/model", "--data", "/var/lib/astroflow-engine", "--port", "8000"]
CMD ["--host", "0.0.0.0"]
